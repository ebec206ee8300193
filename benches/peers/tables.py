"""Rows -> Markdown.

In: jobs with their rows, targets, a line that says what it was measured on. Out: text. Never: a number without its
ratio to nginx's in the same run, if nginx was in it.
"""

import math

import proxies
from common import report


def document(header, tables, targets):
    """Everything; `tables`: pairs of a job and its rows."""
    parts = [f"### {job.title}\n\n{_table(job, rows)}" for job, rows in tables]
    return "\n\n".join([header, *parts, f"### Targets\n\n{_verdicts(targets)}"])


def _table(job, rows):
    """One job: a line for each proxy. Ratios to nginx stand in brackets."""
    columns = _COLUMNS if job.prepare else _MEMORY_COLUMNS
    yardstick = next((row.numbers for row in rows if row.label == proxies.YARDSTICK), {})
    lines = []
    for row in rows:
        cells = [_cell(row, name, form, yardstick) for _, name, form in columns]
        if row.note not in ("", "-"):
            cells[0] = row.note
        lines.append([row.label, *cells])
    return report.table(["proxy", *(heading for heading, _, _ in columns)], lines)


def _verdicts(targets):
    lines = []
    for one in targets:
        most = f"{one.most:.2f}".removesuffix("0").removesuffix(".0") + f" {one.unit}"
        number = "not measured" if one.measured in (None, math.inf) else f"{one.measured:.2f}"
        lines.append([one.what, most, number, {True: "met", False: "**missed**", None: ""}[one.met]])
    return report.table(["target", "at most", "measured", ""], lines)


def _cell(row, name, form, yardstick):
    # No latency: not one answer was complete.
    if not row.numbers.get(name):
        return None
    text = form(row.numbers[name])
    return f"{text} ({row.numbers[name] / yardstick[name]:.2f})" if yardstick.get(name) else text


def _time(microseconds):
    if microseconds < 1000:
        return f"{microseconds:.1f} us"
    return f"{microseconds / 1000:.1f} ms" if microseconds < 1e6 else f"{microseconds / 1e6:.2f} s"


def _rate(per_second):
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.1f}"


def _memory(count):
    return f"{count / 1e6:.1f} MB"


# Heading, name of the number, how it is written.
_COLUMNS = (
    ("requests/s", "per_second", _rate),
    ("CPU per request", "cpu", _time),
    ("p50", "p50", _time),
    ("p99", "p99", _time),
    ("memory", "memory", _memory),
    ("its peak", "peak", _memory),
)
_MEMORY_COLUMNS = (
    ("after one request", "memory", _memory),
    ("10,000 idle connections", "held", _memory),
    ("that is more", "idle", _memory),
    ("peak", "peak", _memory),
)
