"""A number of hosts -> what nginx and Caddy need for them, for the same job and the same backend.

In: the kind of peer, a directory, how long to look. Out: a `Peer`'s figures, or in a sentence why it does not bear that many. Never: a
peer left out in silence.
"""

import dataclasses
import os
import shutil
import statistics
import time

from common import load, manifests
from common.bench import say
from common.client import Client
from common.machine import available
from common.processes import Failed
from ours import live

# A peer that needs more of the memory that is free than this is not tried.
_MOST_MEMORY = 0.6
# The load that looks up hosts.
_CONNECTIONS = 16


@dataclasses.dataclass
class Result:
    """One size. Times in seconds, memory in bytes, all processes together."""

    start: float
    changes: list
    # User and system time of one change.
    change_processor: float
    memory: int
    # After the changes, old processes that still drain included.
    memory_after: int
    request: float


def measure(kind, settings, scratch, root, apps, smaller):
    """All of one size. `smaller`: the (number, result) of a smaller size, for a guess at the memory; returns a result or a sentence."""
    if smaller:
        count, result = smaller
        if isinstance(result, str):
            return f"not tried: {count:,} were too many"
        needed = 2 * result.memory * apps / count
        if apps >= 1000 <= count and needed > available() * _MOST_MEMORY:
            return f"does not bear it: a reload would need about {needed / 1e9:.0f} GB"
    place = os.path.join(scratch, "peer")
    os.makedirs(place)
    say(f"{kind.NAME}, {apps:,} Apps")
    try:
        return _measure(kind(place, root, apps), settings, place, apps)
    except Failed as reason:
        return f"does not bear it: {reason}"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _measure(peer, settings, place, apps):
    began = time.monotonic()
    with peer.start() as process:
        with Client(peer.address, settings.peer_patience) as client:
            for number in sorted({0, apps // 2, apps - 1}):
                # A peer that does not bear so many ends, or is not ready in time.
                process.wait_for(lambda: client.revision(manifests.host(number)) == "0", began + settings.peer_patience - time.monotonic())
        start = time.monotonic() - began
        process.settle(settings.peer_patience)
        memory = process.resident_together()
        changes, _ = live(peer.address, settings.peer_changes, apps, peer.change, settings.peer_patience, settings.peer_patience)
        memory_after = process.resident_together()
        process.settle(settings.peer_patience)
        before = process.processor_seconds()
        for revision in range(len(changes)):
            peer.change(revision % apps, f"again-{revision}")
            process.settle(settings.peer_patience)
        change_processor = (process.processor_seconds() - before) / len(changes)
        script = os.path.join(place, "load.lua")
        costs = [
            load.processor_per_request(process, script, peer.address, apps, _CONNECTIONS, seconds=settings.seconds, seed=seed)
            for seed in range(settings.rounds)
        ]
    return Result(start, changes, change_processor, memory, memory_after, statistics.median(costs))
