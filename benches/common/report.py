"""Cells and verdicts -> Markdown, on standard output and between two markers of a file.

In: rows, targets. Out: text. Never: a word outside the markers changed.
"""

import dataclasses
import os

from .processes import Failed


@dataclasses.dataclass
class Target:
    """What was promised, and what was measured."""

    # `one change, p99, 10 Apps`.
    what: str
    # `None`: not measured; infinite: it could not be done at all.
    measured: float | None
    # The most that keeps the promise.
    most: float
    unit: str

    @property
    def met(self):
        """Whether the promise is kept; `None`: nobody knows."""
        return None if self.measured is None else self.measured <= self.most

    def line(self):
        """`- pass: one change, p99, 10 Apps: 3.1 ms (at most 20 ms)`"""
        unit = f" {self.unit}" if self.unit else ""
        return f"- {'pass' if self.met else '**missed**'}: {self.what}: {figure(self.measured)}{unit} (at most {figure(self.most)}{unit})"


def table(header, rows):
    """Cells -> a table; the first column to the left, numbers to the right. A cell that is `None` is a dash."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    lines += [["-" if cell is None else str(cell).replace("|", "/") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figure(value):
    """A number for people: three digits that count, or all before the point."""
    if value is None:
        return "-"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def milliseconds(seconds):
    """`3.1 ms`, or `1.6 s` from a second on."""
    return None if seconds is None else f"{figure(seconds)} s" if seconds >= 1 else f"{figure(seconds * 1e3)} ms"


def megabytes(count):
    """`31.2 MB`: of a million bytes."""
    return None if count is None else f"{figure(count / 1e6)} MB"


def check_markers(path, name):
    """Fails if the file has not both markers; asked before a long run."""
    _split(path, name)


def write(path, name, text):
    """Puts the text between `<!-- name -->` and `<!-- /name -->`; the file is there whole at every moment."""
    before, after = _split(path, name)
    beside = f"{path}.new"
    with open(beside, "w", encoding="utf-8") as file:
        file.write(f"{before}\n{text}\n{after}")
    os.rename(beside, path)


def _split(path, name):
    first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        with open(path, encoding="utf-8") as file:
            content = file.read()
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}") from error
    if content.count(first) != 1 or content.count(last) != 1 or content.index(first) > content.index(last):
        raise Failed(f"{path}: `{first}` and `{last}` have to stand there, each once, in this order")
    return content[: content.index(first) + len(first)], content[content.index(last) :]
