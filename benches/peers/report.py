"""Rows -> Markdown.

In: jobs with their rows, verdicts, what it was measured on. Out: text, also between two markers of a document. Never: a number without its
ratio to nginx's in the same run, if nginx was in it.
"""

import pathlib

import proxies

BEGIN = "<!-- benches/peers/run: written by it, from here -->"
END = "<!-- benches/peers/run: to here -->"


def document(about, tables, verdicts):
    """Everything: `about` are lines, `tables` pairs of a job and its rows."""
    parts = ["\n".join(f"- {line}" for line in about)]
    parts += [f"### {job.title}\n\n{table(job, rows)}" for job, rows in tables]
    parts.append(f"### Targets\n\n{_verdicts(verdicts)}")
    return "\n\n".join(parts) + "\n"


def table(job, rows):
    """One job: a line for each proxy. Ratios to nginx stand in brackets."""
    columns = _COLUMNS if job.prepare else _MEMORY_COLUMNS
    yardstick = next((row.numbers for row in rows if row.label == proxies.YARDSTICK), {})
    lines = [["proxy", *(heading for heading, _, _ in columns)]]
    for row in rows:
        cells = [_cell(row, name, form, yardstick) for _, name, form in columns]
        if row.note not in ("", "-"):
            cells[0] = row.note
        lines.append([row.label, *cells])
    return _markdown(lines)


def write(path, text):
    """Puts the text between the markers of a document."""
    file = pathlib.Path(path)
    before, begin, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no lines `{BEGIN}` and `{END}`")
    file.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def _verdicts(verdicts):
    lines = [["target", "at most", "measured", ""]]
    for one in verdicts:
        most = f"{one.target.most:.2f}".removesuffix("0").removesuffix(".0") + f" {one.target.unit}"
        number = "not measured" if one.number is None else f"{one.number:.2f}"
        lines.append([one.target.what, most, number, {True: "met", False: "**missed**", None: ""}[one.met]])
    return _markdown(lines)


def _cell(row, name, form, yardstick):
    # No latency: not one answer was complete.
    if not row.numbers.get(name):
        return "-"
    text = form(row.numbers[name])
    return f"{text} ({row.numbers[name] / yardstick[name]:.2f})" if yardstick.get(name) else text


def _time(microseconds):
    if microseconds < 1000:
        return f"{microseconds:.1f} us"
    return f"{microseconds / 1000:.1f} ms" if microseconds < 1e6 else f"{microseconds / 1e6:.2f} s"


def _rate(per_second):
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.1f}"


def _memory(kibibytes):
    return f"{kibibytes / 1024:.1f} MB"


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


def _markdown(lines):
    head, *rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rows])
