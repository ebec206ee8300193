"""A bench -> a program: its arguments, its news, the line above its tables, its end.

In: words of a command line, what came out. Out: news on standard error, tables on standard output; 0, or 1 if something broke or
(`--check`) a target is missed. Never: an end without the ends of all `with`, but by SIGKILL.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time

from . import machine, report
from .processes import Failed

# `peers` of `benches/peers/run`; the markers of its tables, too.
NAME = os.path.basename(os.path.dirname(os.path.abspath(sys.argv[0])))
_PROGRAM = f"benches/{NAME}/run"


def say(text):
    """A line for people who wait."""
    print(f"{_PROGRAM}: {text}", file=sys.stderr, flush=True)


def parser(description, quick):
    """The arguments that all benches have; `quick` says what is different then."""
    words = argparse.ArgumentParser(prog=_PROGRAM, description=description, allow_abbrev=False)
    words.add_argument("--quick", action="store_true", help=quick)
    words.add_argument("--binary", metavar="PATH", help="an lxcproxy to take, in place of the release build of this checkout")
    words.add_argument("--write", metavar="FILE", type=_page, help=f"put the tables between the markers `{NAME}` of this file, too")
    words.add_argument("--check", action="store_true", help="end with 1 if a target is missed")
    return words


def header(*parts):
    """The line above a table: what made it, when, and on what."""
    command = shlex.join([_PROGRAM, *_told()])
    return f"`{command}`, {time.strftime('%Y-%m-%d')}, {machine.description()}; {'; '.join(parts)}."


def conclude(settings, text, targets, broke=False):
    """Prints and writes; returns the exit status."""
    print(text)
    if settings.write:
        report.write(settings.write, NAME, text)
    return int(broke or (settings.check and any(target.met is False for target in targets)))


def run(main):
    """Runs a bench, and ends this process. Told to end, it ends as at its own end: with everything that it started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        sys.exit(main())
    except (Failed, OSError, subprocess.SubprocessError) as reason:
        say(reason)
        sys.exit(1)


def _page(path):
    """Not after a long run, but before it: whether the markers are there."""
    report.check_markers(path, NAME)
    return path


def _told():
    """The arguments of this run, but for places: they are nobody else's."""
    told = iter(sys.argv[1:])
    for argument in told:
        if argument in ("--write", "--binary"):
            next(told, None)
        elif not argument.startswith(("--write=", "--binary=")):
            yield argument
