"""A command line -> a process of ours: started, looked at in /proc, ended.

In: arguments, a file for what it says, the core that it may use if it is to be one. Out: its processor time and memory, its children's
included. Never: a process that outlives the bench (the kernel kills it), a wait without a deadline, a signal to anybody else's process.
"""

import glob
import os
import signal
import subprocess
import time

_TICK = 1 / os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Something did not come about; the text says what, for people."""


def ours(arguments, core=None):
    """The command line of a program that ends with this process, whatever ends that (prctl(2), PR_SET_PDEATHSIG)."""
    pin = [] if core is None else ["taskset", "--cpu-list", core]
    return [str(word) for word in ("setpriv", "--pdeathsig", "KILL", "--", *pin, *arguments)]


def run(arguments, patience):
    """Runs a program to its end; returns what it said."""
    name = os.path.basename(arguments[0])
    try:
        done = subprocess.run(ours(arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{name} is not over after {patience:.0f} s") from late
    if done.returncode:
        raise Failed(f"{name} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:] or 'it said nothing'}")
    return done.stdout


class Process:
    """A running program, in a process group of its own; a context that ends with it."""

    def __init__(self, arguments, log, environment=None, core=None):
        """Starts it. `log`: the file that gets its output."""
        self.name = os.path.basename(arguments[0])
        self.log = log
        with open(log, "ab") as output:
            self._child = subprocess.Popen(
                ours(arguments, core),
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
        """Fails with its last words if it has ended."""
        if self._ended():
            raise Failed(f"{self.name} ended: {self.last_words()}")

    def wait_for(self, condition, patience=30):
        """Waits until `condition()` is true."""
        deadline = time.monotonic() + patience
        while not condition():
            self.assert_alive()
            if time.monotonic() > deadline:
                raise Failed(f"{self.name} was not ready within {patience:.0f} s: {self.last_words()}")
            time.sleep(0.01)

    def last_words(self, most=600):
        """The end of what it has said, on one line."""
        with open(self.log, "rb") as output:
            output.seek(max(0, os.path.getsize(self.log) - most))
            return " / ".join(output.read().decode(errors="replace").split("\n")).strip(" /") or "it said nothing"

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
            for children in glob.glob(f"/proc/{parent}/task/*/children"):
                try:
                    with open(children, encoding="ascii") as file:
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
