"""A command -> a process on one core, what it costs, and its end.

In: a command, the core it may use. Out: CPU time and memory of it and of all that it started. Never: a process that outlives the run, or
the end of one that somebody else started.
"""

import ctypes
import os
import resource
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
_LIBC = ctypes.CDLL(None)
START_SECONDS = 30
STOP_SECONDS = 5
FILES = 65536


class Failed(Exception):
    """What was started did not do what it should."""


def cores():
    """The cores of the proxy, and of everything else: the first two that this process may use. With one core, both are the same."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[1 % len(usable)]


def allow_files():
    """As many open files as there may be: 10,000 clients need more than the usual 1,024. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (max(hard, FILES), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            return most
        except (ValueError, OSError):
            continue
    return soft


class Child:
    """A running program; a context that ends with it."""

    def __init__(self, name, command, core, log, environment=None):
        self.name = name
        self.log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                # In a session of its own: what it starts can be ended with it.
                start_new_session=True,
                preexec_fn=lambda: _settle(core),
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_for(self, condition):
        """Waits until `condition()` is true."""
        end = time.monotonic() + START_SECONDS
        while not condition():
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended with {self.process.returncode}: {self.last_words()}")
            if time.monotonic() > end:
                raise Failed(f"{self.name} does not answer after {START_SECONDS} s: {self.last_words()}")
            time.sleep(0.02)

    def last_words(self):
        """The end of what it has said."""
        with open(self.log, "rb") as output:
            output.seek(max(0, os.fstat(output.fileno()).st_size - 600))
            return output.read().decode(errors="replace").strip() or "it said nothing"

    def cpu_seconds(self):
        """User and system time so far, of all threads and children."""
        ticks = 0
        for process in self._family():
            fields = _stat(process)
            ticks += int(fields[11]) + int(fields[12]) if fields else 0
        return ticks / TICK

    def memory(self):
        """(resident now, highest so far) in KiB, of all processes together."""
        sums = [0, 0]
        for process in self._family():
            for index, field in enumerate(("VmRSS:", "VmHWM:")):
                sums[index] += _status(process, field)
        return tuple(sums)

    def stop(self):
        """Ends it and what it has started: asked first, then made to."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            try:
                self.process.wait(STOP_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
        self._signal(signal.SIGKILL)

    def _signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # All of the group have gone.

    def _family(self):
        parents = {}
        for name in os.listdir("/proc"):
            fields = _stat(name) if name.isdigit() else None
            if fields:
                parents.setdefault(int(fields[1]), []).append(int(name))
        family, left = [], [self.process.pid]
        while left:
            process = left.pop()
            family.append(process)
            left.extend(parents.get(process, []))
        return family


def _settle(core):
    """In the new process: its core, and that it does not outlive this one, even if that is killed (prctl(2), PR_SET_PDEATHSIG)."""
    os.sched_setaffinity(0, {core})
    _LIBC.prctl(1, signal.SIGKILL)


def _stat(process):
    """`/proc/PID/stat` from the state on (proc(5), field 3), or nothing if it has gone."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _status(process, field):
    try:
        with open(f"/proc/{process}/status", encoding="utf-8", errors="replace") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(field)), 0)
    except OSError:
        return 0
