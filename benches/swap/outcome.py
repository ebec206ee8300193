"""What happened while manifests changed -> a table and verdicts.

In: what was measured. Out: Markdown. Never: a measurement.
"""

import collections
import dataclasses
import statistics

from common import report
from common.report import Target, figure, megabytes

# Memory is flat if it has grown by no more than this part of it, and this many bytes: what the allocator keeps is not the same each time.
_GROWTH_PART, _GROWTH = 0.10, 2_000_000


@dataclasses.dataclass
class Outcome:
    """All rounds together. Memory in bytes."""

    apps: int
    sockets: int
    uploads: int
    # What the load saw, for each round.
    without: list = dataclasses.field(default_factory=list)
    with_changes: list = dataclasses.field(default_factory=list)
    changes: int = 0
    changes_under_load: int = 0
    # Apps that did not answer with their last revision.
    not_live: int = 0
    # Under full load: before the first change, after each round with changes, the most.
    memory_before: int = 0
    memory: list = dataclasses.field(default_factory=list)
    memory_peak: int = 0
    # Reason -> how many WebSockets or uploads.
    dropped: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    failed_uploads: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    # Pings that came back, and slow pieces of uploads that were sent.
    echoes: int = 0
    pieces: int = 0

    def failed(self):
        """Failed requests of the rounds with changes, of all kinds."""
        return sum(sum(seen.failed.values()) for seen in self.with_changes)


def table(found):
    """A row for each question; without changes, and with them."""
    of_rounds = lambda rounds, value: figure(statistics.median(map(value, rounds)))
    both = lambda name, value: [name, of_rounds(found.without, value), of_rounds(found.with_changes, value)]
    rows = [
        ["rounds", len(found.without), len(found.with_changes)],
        ["changes", 0, f"{found.changes:,}, {found.changes_under_load:,} of them of Apps under load"],
        ["requests", f"{sum(seen.requests for seen in found.without):,}", f"{sum(seen.requests for seen in found.with_changes):,}"],
        both("requests/s", lambda seen: seen.requests / seen.duration),
        both("p50, ms", lambda seen: seen.p50),
        both("p99, ms", lambda seen: seen.p99),
        ["failed requests", sum(sum(seen.failed.values()) for seen in found.without), found.failed()],
        ["memory under load", megabytes(found.memory_before), f"{', '.join(map(megabytes, found.memory))}; peak {megabytes(found.memory_peak)}"],
    ]
    parts = [
        report.table([f"{found.apps:,} Apps", "without changes", "with changes"], rows),
        f"{found.sockets:,} WebSockets were open all the time: {found.echoes:,} pings came back, {sum(found.dropped.values())} were dropped"
        f"{_reasons(found.dropped)}. {found.uploads} uploads went on all the time, in {found.pieces:,} pieces: "
        f"{sum(found.failed_uploads.values())} failed{_reasons(found.failed_uploads)}.",
    ]
    return "\n\n".join(parts)


def targets(found):
    """What is promised."""
    flat = found.memory_before * (1 + _GROWTH_PART) + _GROWTH
    return [
        Target(f"failed requests, {found.changes:,} changes", found.failed(), 0, ""),
        Target(f"dropped WebSockets, of {found.sockets:,}", sum(found.dropped.values()), 0, ""),
        Target(f"failed uploads, of {found.uploads}", sum(found.failed_uploads.values()), 0, ""),
        Target("changed Apps that don't answer with their last revision", found.not_live, 0, ""),
        Target("memory after all changes", found.memory[-1] / 1e6, flat / 1e6, "MB"),
    ]


def _reasons(counter):
    return f" ({', '.join(f'{count} {reason}' for reason, count in counter.most_common(5))})" if counter else ""
