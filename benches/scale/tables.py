"""Results of all sizes -> tables and verdicts.

In: what was measured. Out: Markdown. Never: a measurement.
"""

import statistics

from common.client import percentile
from common.report import Target, figure, megabytes, milliseconds, table

# Sizes for which a change has a target, and the least for which memory per App says anything.
_CHANGE_SIZES = (10, 10_000, 100_000)
_MANY = 1000


def ours(found):
    """lxcproxy, a row for each size. `found`: by size, a result or a sentence."""
    header = [
        "Apps", "first start", "second start", "a change is live: p50", "p99", "most", "CPU of a change", "memory of all changes",
        "memory, idle", "peak", "per 10,000 Apps", "CPU of a look-up", "to ten Apps", "CPU of a request", "idle CPU, of a core",
    ]  # fmt: skip
    results = _measured(found)
    rows = []
    for apps, result in found.items():
        cells = [result, *[None] * (len(header) - 2)] if isinstance(result, str) else _row(results, result)
        rows.append([f"{apps:,}", *cells])
    notes = [
        f"{', '.join(str(len(result.changes)) for result in results)} changes; one is seen live {_exact(results)} late at most (median).",
        "A look-up is a request that is answered 404, without a backend. Each App's backend has kept connections of its own,",
        "so with many Apps a request for a random one often makes a new connection; the peers below have one pool for all.",
    ]
    return "\n\n".join([table(header, rows), "\n".join(notes)])


def beside(found, peers):
    """lxcproxy and its peers, size by size. `peers`: by name, a result or a sentence for each size, or one sentence for all."""
    header = ["Apps", "proxy", "start", "a change is live: p50", "p99", "most", "CPU of a change", "memory", "after the changes", "CPU of a request"]
    rows = []
    for apps, result in found.items():
        for name, figures in {"lxcproxy": result, **{name: sizes if isinstance(sizes, str) else sizes[apps] for name, sizes in peers.items()}}.items():
            if isinstance(figures, str):
                rows.append([f"{apps:,}", f"{name}: {figures}", *[None] * (len(header) - 2)])
            else:
                rows.append([f"{apps:,}", name, *_figures(figures)])
    return table(header, rows)


def targets(found):
    """What is promised, for the sizes that were measured."""
    results = _measured(found)
    kept = [Target("sizes that are not borne", len(found) - len(results), 0, "")]
    for result in results:
        if result.apps in _CHANGE_SIZES:
            kept.append(Target(f"a change is live, p99, {result.apps:,} Apps", percentile(result.changes, 0.99) * 1e3, 20, "ms"))
        if result.apps == 10:
            kept.append(Target("memory, idle, 10 Apps", result.idle_memory / 1e6, 15, "MB"))
        if result.apps == 10_000:
            kept.append(Target("first start, 10,000 Apps", result.first_start, 1, "s"))
            kept.append(Target("second start, 10,000 Apps", result.second_start, 1, "s"))
        if result.apps >= 10_000 and (each := _per_many(results, result)) is not None:
            kept.append(Target(f"memory per 10,000 Apps, at {result.apps:,}", each / 1e6, 40, "MB"))
        if result.apps == 100_000 and result.idle_processor is not None:
            kept.append(Target("idle CPU, 100,000 Apps", result.idle_processor * 100, 1, "% of a core"))
    return kept


def _measured(found):
    return [result for result in found.values() if not isinstance(result, str)]


def _row(results, result):
    return [
        milliseconds(result.first_start),
        milliseconds(result.second_start),
        *_live(result.changes),
        milliseconds(result.change_processor),
        megabytes(result.change_memory),
        megabytes(result.idle_memory),
        megabytes(result.peak_memory),
        megabytes(_per_many(results, result)),
        f"{figure(result.look_up * 1e6)} us",
        f"{result.look_up / result.look_up_of_ten:.2f}",
        f"{figure(result.request * 1e6)} us",
        None if result.idle_processor is None else f"{result.idle_processor:.2%}",
    ]


def _figures(result):
    return [
        milliseconds(result.start),
        *_live(result.changes),
        milliseconds(result.change_processor),
        megabytes(result.memory),
        megabytes(result.memory_after),
        f"{figure(result.request * 1e6)} us",
    ]


def _exact(results):
    gaps = [gap for result in results for gap in result.resolution]
    return milliseconds(statistics.median(gaps)) if gaps else "-"


def _live(changes):
    return [milliseconds(value) for value in (percentile(changes, 0.5), percentile(changes, 0.99), max(changes))]


def _per_many(results, result):
    """Bytes for 10,000 Apps more, against the smallest size; `None` where that would be noise."""
    if result.apps < _MANY or result is results[0]:
        return None
    return (result.idle_memory - results[0].idle_memory) / (result.apps - results[0].apps) * 10_000
