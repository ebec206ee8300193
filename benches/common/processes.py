"""A command line -> a process of ours: started, looked at in /proc, ended.

In: arguments, a file for what it says. Out: its processor time and memory, its children's included. Never: a process that outlives the
bench (the kernel kills it), a wait without a deadline, a signal to anybody else's process.
"""

import os
import signal
import subprocess
import time

_TICK = 1 / os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Something did not come about; the text says what, for people."""


class Process:
    """A running program, in a process group of its own."""

    def __init__(self, arguments, log, environment=None):
        """Starts it. `log`: the file that gets its output."""
        self.name = os.path.basename(arguments[0])
        self.log = log
        with open(log, "ab") as output:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self.pid = self._child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def assert_alive(self):
        """Fails with the end of its log if it has ended."""
        if self._ended():
            raise Failed(f"{self.name} ended: {tail(self.log)}")

    def stop(self, patience=10):
        """Asks it to end, and makes it end when it does not. All processes of its group go."""
        if self._child.returncode is not None:
            return
        deadline = time.monotonic() + patience
        os.kill(self.pid, signal.SIGTERM)
        while not self._ended() and time.monotonic() < deadline:
            time.sleep(0.005)
        # It is not reaped yet: until then its number, which is the group's, is nobody else's.
        os.killpg(self.pid, signal.SIGKILL)
        self._child.wait(patience)

    def _ended(self):
        """Whether it has; it stays to be reaped."""
        if self._child.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def family(self):
        """The pids of it and its children."""
        found = [self.pid]
        for parent in found:
            try:
                with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as file:
                    found += map(int, file.read().split())
            except OSError:
                pass
        return found

    def processor_seconds(self):
        """User and system time so far, of it and its children, those that have ended included; in steps of 10 ms."""
        return sum(map(_processor_seconds, self.family()))

    def resident(self):
        """Bytes in memory (`VmRSS`), of it alone."""
        return self._status("VmRSS")

    def peak(self):
        """The most bytes that were ever in memory (`VmHWM`), of it alone."""
        return self._status("VmHWM")

    def resident_together(self):
        """Bytes in memory of it and its children; what they share counts once (`Pss`)."""
        return sum(map(_proportional, self.family()))

    def settle(self, patience):
        """Waits until it does nothing: at most a tick in a quarter of a second, six times. Returns whether it came to that in time."""
        deadline, calm = time.monotonic() + patience, 0
        while calm < 6 and time.monotonic() < deadline:
            before = self.processor_seconds()
            time.sleep(0.25)
            calm = calm + 1 if self.processor_seconds() - before < 0.015 else 0
            self.assert_alive()
        return calm == 6

    def _status(self, field):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith(f"{field}:"):
                    return int(line.split()[1]) * 1024
        raise Failed(f"{self.name} has no {field}: it has ended")


def tail(log, most=300):
    """The end of a file, on one line."""
    with open(log, "rb") as file:
        file.seek(max(0, os.path.getsize(log) - most))
        return " / ".join(file.read().decode(errors="replace").split("\n")).strip(" /") or "it said nothing"


def _processor_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    # utime, stime, and both of its children that have ended: proc_pid_stat(5), fields 14 to 17.
    return sum(map(int, fields[11:15])) * _TICK


def _proportional(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
    except (OSError, StopIteration):
        return 0
