"""An address and hosts -> load by wrk, and what it saw.

In: how many connections, how long, which Apps. Out: requests, failures, percentiles. Never: requests that differ in length.
"""

import dataclasses

from . import processes
from .manifests import host

_SCRIPT = """\
local first, count = {first}, {count}
function init() math.randomseed({seed}) end
function request()
  local number = first + math.random(count) - 1
  return string.format("{method} / HTTP/1.1\\r\\nHost: app-%06d.example.org\\r\\n\\r\\n", number)
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("result %d %d %d %d %d %d %d %d %d\\n", summary.requests, summary.duration, e.connect, e.read, e.write,
    e.status, e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclasses.dataclass
class Seen:
    """What came of a load."""

    # Answers.
    requests: int
    # Answers that are not 2xx or 3xx, and connections that broke or timed out, by kind.
    failed: dict
    # Seconds.
    duration: float
    # Milliseconds.
    p50: float
    p99: float


def run(script, address, count, connections, seconds, first=0, seed=1, method="GET"):
    """wrk for random Apps among `count`, the first of them `first`, to its end. `script`: the file that is written for it."""
    assert host(1) == "app-000001.example.org", "the script writes hosts of the same form"
    with open(script, "w", encoding="ascii") as file:
        file.write(_SCRIPT.format(first=first, count=count, seed=seed, method=method))
    url = f"http://{address[0]}:{address[1]}/"
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", script, url]
    output = processes.run(words, seconds + 30)
    line = next((line for line in output.splitlines() if line.startswith("result ")), None)
    if line is None:
        raise processes.Failed(f"wrk gave no result: {output.strip()[-300:]}")
    requests, duration, connect, read, write, status, timeout, p50, p99 = map(int, line.split()[1:])
    failed = {"connect": connect, "read": read, "write": write, "status": status, "timeout": timeout}
    return Seen(requests, failed, duration / 1e6, p50 / 1e3, p99 / 1e3)


def processor_per_request(process, *arguments, found=True, **options):
    """Seconds of processor time of a process (and its children) per request of a load, each answered well, or 404 if it is to be."""
    before = process.processor_seconds()
    result = run(*arguments, method="GET" if found else "DELETE", **options)
    spent = process.processor_seconds() - before
    wrong = {**result.failed, "status": abs(result.failed["status"] - (0 if found else result.requests))}
    if any(wrong.values()) or not result.requests:
        raise processes.Failed(f"of {result.requests} requests some failed: {wrong}")
    return spent / result.requests
