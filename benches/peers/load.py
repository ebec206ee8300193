"""A proxy that serves -> load on it for some seconds, and what the clients saw.

In: a server (`rounds.py`), seconds. Out: requests, errors, p50 and p99. Never: a load program that runs on: each has a deadline.
wrk: as many requests as go; `programs/rate.c`: at fixed moments; h2load: the same as wrk, by another hand; `programs/echo.c`: WebSockets; `client.py`: large bodies.
"""

import dataclasses
import json
import math

import client
from common import processes
from place import PROGRAMS

GRACE_SECONDS = 30


class Overloaded(Exception):
    """A rate that is too high for this proxy."""


@dataclasses.dataclass
class Result:
    """What the clients saw. Latencies in microseconds; `requests` may have a fraction: answers that were under way at the end."""

    requests: float
    seconds: float
    p50: float
    p99: float
    errors: int


def wrk(server, path, connections, seconds, by_bytes=False):
    """Closed loop: each connection sends its next request when the answer is there.

    `by_bytes`: large answers are counted by their bytes, for those that the end cut off cost the proxy something, too.
    """
    words = ["-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--timeout", "20s", "-s", PROGRAMS / "report.lua"]
    seen = _json_of([server.place.programs["wrk"], *words, f"http://127.0.0.1:{server.port}{path}"], seconds)
    requests = seen.pop("requests")
    whole = seen.pop("bytes")
    if by_bytes:
        requests = whole / client.get(server.port, path)[1]
    return Result(requests=requests, **seen)


def at_rate(server, path, connections, per_second, seconds):
    """Open loop: a latency begins when its request was due."""
    result = Result(**_json_of([server.place.compiled["rate"], server.port, path, connections, per_second, seconds], seconds))
    if result.errors:
        raise Overloaded(f"does not bear {per_second:,} requests/s")
    return result


def websockets(server, path, connections, seconds):
    """Each WebSocket sends 125 bytes when the last ones are back."""
    return Result(**_json_of([server.place.compiled["echo"], server.port, path, connections, seconds, 125], seconds))


def h2load(server, path, connections, seconds):
    """Closed loop as wrk's, by HTTP/1.1; percentiles from h2load's own log."""
    log = server.scratch / "h2load.log"
    log.unlink(missing_ok=True)
    words = ["--h1", "-t1", f"-c{connections}", f"-D{math.ceil(seconds)}", f"--log-file={log}"]
    processes.run([server.place.programs["h2load"], *words, f"http://127.0.0.1:{server.port}{path}"], seconds + GRACE_SECONDS)
    with open(log, encoding="ascii") as lines:
        rows = [line.split("\t") for line in lines]
    took = [int(row[2]) for row in rows if row[1] == "200"]
    return _of_times(took, math.ceil(seconds), len(rows) - len(took))


def transfers(took):
    """Times of transfers one after the other (`client.py`), in seconds."""
    return _of_times([1e6 * one for one in took], sum(took), 0)


def _of_times(took, seconds, errors):
    if not took:
        return Result(0, seconds, 0, 0, errors)
    took = sorted(took)
    return Result(len(took), seconds, took[len(took) // 2], took[len(took) * 99 // 100], errors)


def _json_of(words, seconds):
    """The last line that a program prints."""
    return json.loads(processes.run(words, seconds + GRACE_SECONDS).splitlines()[-1])
