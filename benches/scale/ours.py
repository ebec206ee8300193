"""A number of Apps -> what lxcproxy needs for them.

In: the binary, directories, how long to look. Out: a `Result`. Never: a figure of one moment only where the machine's noise is in it:
changes are many, look-ups alternate with those of a proxy with ten Apps.
"""

import dataclasses
import os
import random
import shutil
import statistics
import time

from common import load, manifests
from common.bench import say
from common.client import Client
from common.daemon import Daemon
from common.processes import Failed

# Connections of the load that looks up hosts.
_CONNECTIONS = 16
# Seconds that a daemon may take until it does nothing any more.
_SETTLE = 60
# Seconds between changes that nobody waits for: each is on its own then.
_PACE = 0.02
# Seconds that one change may take, and all of a size together.
_ONE_CHANGE, _ALL_CHANGES = 30, 120


@dataclasses.dataclass
class Result:
    """One size. Times in seconds, memory in bytes."""

    apps: int
    # From the start of the process to its first answers, without state and with the state of the first.
    first_start: float
    second_start: float
    # Of each change: from the rename to the end of the first new answer.
    changes: list
    # Of each change: how much earlier it can have been live.
    resolution: list
    # User and system time of one change, without the requests that look for it.
    change_processor: float
    # What all changes have added to the memory.
    change_memory: int
    idle_memory: int
    peak_memory: int
    # User and system time of one request for a random App, median of the rounds. Each App's backend has connections of its own.
    request: float
    # The same without a backend (its App is found, and no rule of it), here and with ten Apps.
    look_up: float
    look_up_of_ten: float
    # Part of one core; `None`: not looked at.
    idle_processor: float | None

    @property
    def start(self):
        """A start as a restart is: with state."""
        return self.second_start

    @property
    def memory(self):
        """Before the changes."""
        return self.idle_memory

    @property
    def memory_after(self):
        """After the changes."""
        return self.idle_memory + self.change_memory


def measure(settings, scratch, root, apps, reference):
    """All of one size; returns a result or a sentence. `reference`: the daemon with ten Apps that look-ups are compared with."""
    directory, state = os.path.join(scratch, "manifests"), os.path.join(scratch, "state")
    say(f"lxcproxy, {apps:,} Apps: writing manifests")
    manifests.write_all(directory, apps, root)
    try:
        return _measure(settings, scratch, root, apps, reference, directory, state)
    except Failed as reason:
        return f"does not bear it: {reason}"
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)


def _measure(settings, scratch, root, apps, reference, directory, state):
    say(f"lxcproxy, {apps:,} Apps: starting")
    daemon, first_start = start(settings, scratch, directory, state, apps)
    with daemon:
        daemon.settle(_SETTLE)
    daemon, second_start = start(settings, scratch, directory, state, apps)
    with daemon:
        daemon.settle(_SETTLE)
        idle, peak = daemon.resident(), daemon.peak()
        say(f"lxcproxy, {apps:,} Apps: changing")
        changes, resolution = live(daemon.address, settings.changes, apps, _file_changer(directory, root), _ALL_CHANGES, _ONE_CHANGE)
        daemon.settle(_SETTLE)
        change_memory = daemon.resident() - idle
        change_processor = _processor_of_changes(daemon, directory, root, settings.changes, apps)
        idle_processor = _idle(daemon, settings.idle) if settings.idle else None
        say(f"lxcproxy, {apps:,} Apps: looking up")
        request, look_up, look_up_of_ten = _requests(daemon, reference, settings, scratch, apps)
    return Result(
        apps,
        first_start,
        second_start,
        changes,
        resolution,
        change_processor,
        change_memory,
        idle,
        peak,
        request,
        look_up,
        look_up_of_ten,
        idle_processor,
    )


def start(settings, scratch, directory, state, apps):
    """Starts it; returns it, and how long it took until the first, the middle and the last App answered."""
    daemon = Daemon(settings.binary, scratch, directory, state, settings.patience)
    try:
        with Client(daemon.address) as client:
            for number in sorted({0, apps // 2, apps - 1}):
                client.wait(manifests.host(number), 0, settings.patience, pause=0.001)
    except BaseException:
        daemon.stop()
        raise
    return daemon, time.monotonic() - daemon.started


def live(address, count, apps, change, budget, patience):
    """Changes one random App after the other, each when the last one is live. `change` does it: (number, revision).

    Returns how long each took, and how exact that is; fewer than wanted when the budget (seconds) is used up.
    """
    chosen, times, resolution = random.Random(apps), [], []
    deadline = time.monotonic() + budget
    with Client(address, patience) as client:
        client.revision(manifests.host(0))
        for revision in range(1, count + 1):
            number = chosen.randrange(apps)
            began = time.perf_counter()
            change(number, revision)
            seen, gap = client.wait(manifests.host(number), revision, patience)
            times.append(seen - began)
            resolution.append(min(gap, seen - began))
            if time.monotonic() > deadline:
                break
            # Not in step with anything that the proxy does at intervals.
            time.sleep(chosen.uniform(0.02, 0.06))
    return times, resolution


def _file_changer(directory, root):
    return lambda number, revision: manifests.write(directory, number, manifests.text(number, root, revision))


def _processor_of_changes(daemon, directory, root, count, apps):
    """The processor time of one change: the same number of changes again, and nobody asks whether they are live."""
    chosen, last = random.Random(apps + 1), {}
    before, deadline = daemon.processor_seconds(), time.monotonic() + _ALL_CHANGES
    for revision in range(1, count + 1):
        number = chosen.randrange(apps)
        last[number] = f"again-{revision}"
        manifests.write(directory, number, manifests.text(number, root, last[number]))
        time.sleep(_PACE)
        if time.monotonic() > deadline:
            raise Failed(f"{count} changes were not written within {_ALL_CHANGES} s")
    daemon.settle(_SETTLE)
    spent = daemon.processor_seconds() - before
    with Client(daemon.address) as client:
        for number, revision in last.items():
            client.wait(manifests.host(number), revision, _ONE_CHANGE, pause=0.005)
    return spent / count


def _idle(daemon, seconds):
    """The part of a core that it takes while nothing happens but its own looks at all files."""
    say(f"lxcproxy: idle for {seconds} s")
    before = daemon.processor_seconds()
    time.sleep(seconds)
    return (daemon.processor_seconds() - before) / seconds


def _requests(daemon, reference, settings, scratch, apps):
    """Rounds of requests for random Apps, here and there in turn."""
    script = os.path.join(scratch, "load.lua")
    kinds = ((daemon, apps, True), (daemon, apps, False), (reference, 10, False))
    costs = [[] for _ in kinds]
    for seed in range(settings.rounds):
        for (process, count, found), measured in zip(kinds, costs):
            load_of = (process, script, process.address, count, _CONNECTIONS)
            measured.append(load.processor_per_request(*load_of, found=found, seconds=settings.seconds, seed=seed))
    return map(statistics.median, costs)
