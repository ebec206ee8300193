"""The tables of a run -> which targets are met.

In: rows by job. Out: one line per target: what, the target, the number, met or not. Never: a target without its job: that one is "not measured".
"""

import dataclasses
from collections.abc import Callable

import proxies

MIB = 1024


@dataclasses.dataclass(frozen=True)
class Target:
    """`look` tells the number from the job's rows (by label), or nothing if a row is missing; it may have at most `most`."""

    what: str
    job: str
    look: Callable
    most: float
    unit: str


@dataclasses.dataclass
class Verdict:
    """A target, and what came of it. `met` is nothing if it was not measured; what lxcproxy could not do at all is missed."""

    target: Target
    number: float | None
    met: bool | None


def _ratio(name, other):
    return lambda rows: rows[proxies.OURS][name] / rows[other][name]


def _to_best_peer(name):
    """Peers that read HTTP: the relay is none."""

    def look(rows):
        peers = [numbers[name] for label, numbers in rows.items() if label not in (proxies.OURS, proxies.FLOOR)]
        return rows[proxies.OURS][name] / min(peers)

    return look


def _cost_of_log(rows):
    return rows[f"{proxies.OURS}, access log"]["cpu"] - rows[proxies.OURS]["cpu"]


def _mebibytes(name):
    return lambda rows: rows[proxies.OURS][name] / MIB


NGINX = f"x {proxies.YARDSTICK}"
TARGETS = [
    Target("HTTP over a unix socket, CPU per request", "http-127-64", _ratio("cpu", proxies.YARDSTICK), 0.90, NGINX),
    Target("HTTP over a unix socket, CPU per request", "http-127-64", _ratio("cpu", proxies.FLOOR), 1.15, "x the relay"),
    Target("HTTP, p99 at equal load (half of what the slowest bears)", "rate-all", _to_best_peer("p99"), 1.0, "x the best peer"),
    Target("HTTP, p99 at equal load (70 % of what nginx bears)", "rate-nginx", _to_best_peer("p99"), 1.0, "x the best peer"),
    Target("access log, CPU per request", "access-log", _cost_of_log, 1.0, "us more"),
    Target("FastCGI, CPU per request", "fastcgi", _ratio("cpu", proxies.YARDSTICK), 0.90, NGINX),
    Target("a file of 1 KB, CPU per request", "file-1k", _ratio("cpu", proxies.YARDSTICK), 1.0, NGINX),
    Target("a file of 100 KB, CPU per request", "file-100k", _ratio("cpu", proxies.YARDSTICK), 1.0, NGINX),
    Target("a file of 100 MB, CPU per request", "file-100m", _ratio("cpu", proxies.YARDSTICK), 1.0, NGINX),
    Target("memory, idle", "memory", _mebibytes("memory"), 15, "MB"),
    Target("memory, 10,000 idle connections more", "memory", _mebibytes("idle"), 80, "MB"),
]


def judge(tables):
    """`tables`: rows by the name of their job."""
    return [_verdict(target, tables.get(target.job, [])) for target in TARGETS]


def _verdict(target, rows):
    if any(row.proxy == proxies.OURS and row.note for row in rows):
        return Verdict(target, None, False)
    measured = {row.label: row.numbers for row in rows if row.numbers}
    try:
        # What is shown is what is judged.
        number = round(target.look(measured), 2)
    except (KeyError, ValueError, ZeroDivisionError):
        return Verdict(target, None, None)
    return Verdict(target, number, number <= target.most)
