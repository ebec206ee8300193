"""A job and the proxies -> what each of them needs for it, as medians of alternating rounds.

In: a job, a place, proxies, how many rounds of how many seconds. Out: one row for each. Never: two proxies under load at once, or one proxy
measured in one go: on a machine with moods, each has its share of every mood (A B C A B C ...).
"""

import contextlib
import dataclasses
import math
import statistics
import time

import client
import jobs
import load
import proxies
from common.bench import say
from common.machine import free_port
from common.processes import Failed, Process

# How long connections have said nothing when their memory is read, and how many come after that.
IDLE_SECONDS, LATE_CONNECTIONS = 5, 10
# What every proxy has to tell the backend.
FIELDS = ("host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip")


@dataclasses.dataclass
class Row:
    """One line of a table: numbers, or a note in place of them."""

    label: str
    proxy: str
    variant: jobs.Variant = jobs.PLAIN
    # By name: `per_second`, `cpu` (us a request), `p50` and `p99` (us), `memory` and `peak` (bytes), `idle` (bytes more).
    numbers: dict = dataclasses.field(default_factory=dict)
    note: str = ""
    broke: bool = False


class Server:
    """A proxy that answers; a context that ends with it."""

    def __init__(self, place, proxy, variant, probe):
        self.place = place
        self.proxy = proxy
        self.port = free_port()
        self.scratch = place.scratch(proxy.PROGRAM or "relay")
        words, environment = proxy.command(place.programs.get(proxy.PROGRAM), place, self.scratch, self.port, variant)
        self.process = Process(words, self.scratch / "output", environment, place.proxy_core)
        try:
            self.process.wait_for(lambda: client.answers(self.port, probe))
            self._check_fields()
        except BaseException:
            self.process.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    def _check_fields(self):
        """An equal job: the backend is told the same by all. The relay tells it nothing."""
        if self.proxy.NAME == proxies.FLOOR:
            return
        text = client.get(self.port, "/head")[0].decode(errors="replace").lower()
        missing = [name for name in FIELDS if f"\r\n{name}:" not in text]
        if missing:
            raise Failed(f"{self.proxy.NAME} does not send {', '.join(missing)}")


def run(job, place, chosen, rounds, seconds):
    """One table, in the order of `chosen`."""
    rows = [row for proxy in chosen for row in _rows(job, place, proxy)]
    with contextlib.ExitStack() as stack:
        servers = {}
        for row in rows:
            if row.note:
                continue
            with _noted(row):
                servers[row.label] = stack.enter_context(Server(place, proxies.ALL[row.proxy], row.variant, job.probe))
        if job.prepare is None:
            _measure_memory(rows, servers)
        elif servers:
            _measure(job, rows, servers, rounds, seconds)
    return rows


def _rows(job, place, proxy):
    """Which lines a proxy has in the table, and why it has none."""
    absent = [name for name in job.programs if name not in place.programs]
    extra = [variant for variant in job.extra if job.extra_needs in proxy.CAN]
    for variant in (*job.variants, *extra):
        row = Row(proxy.NAME + variant.suffix, proxy.NAME, variant)
        if proxy.PROGRAM and proxy.PROGRAM not in place.programs:
            row.note = "not installed"
        elif job.needs not in proxy.CAN:
            row.note = "-"
        elif absent:
            row.note = f"not measured: {', '.join(absent)} is not installed"
        yield row
        if row.note:
            return


@contextlib.contextmanager
def _noted(row):
    """What goes wrong with one proxy stands in its row; the others go on."""
    try:
        yield
    except load.Overloaded as error:
        row.note = str(error)
    except (Failed, OSError) as error:
        say(f"{row.label}: {error}")
        row.note, row.broke = "failed", True


def _measure(job, rows, servers, rounds, seconds):
    seconds = max(seconds, job.at_least)
    put_on = job.prepare(list(servers.values()), seconds)
    samples = {label: [] for label in servers}
    # The first round fills pools and caches; it does not count. Half as long is enough for that.
    for length in (math.ceil(seconds / 2), *[seconds] * rounds):
        for row in rows:
            if row.note:
                continue
            with _noted(row):
                samples[row.label].append(_sample(servers[row.label], put_on, length))
    for row in rows:
        if not row.note:
            taken = samples[row.label][1:]
            row.numbers = {name: statistics.median(sample[name] for sample in taken) for name in taken[0]}


def _sample(server, put_on, seconds):
    before = server.process.processor_seconds()
    result = put_on(server, seconds)
    used = server.process.processor_seconds() - before
    if result.errors or not result.requests:
        raise Failed(f"{result.errors} errors in {result.requests:.0f} requests; {server.process.last_words()}")
    return {
        "per_second": result.requests / result.seconds,
        "cpu": 1e6 * used / result.requests,
        "p50": result.p50,
        "p99": result.p99,
        "memory": server.process.resident(),
        "peak": server.process.peak(),
    }


def _measure_memory(rows, servers):
    for row in rows:
        if row.note:
            continue
        with _noted(row):
            server = servers[row.label]
            before = server.process.resident()
            held = client.hold_idle(server.port, "/bytes/127", jobs.IDLE_CONNECTIONS - LATE_CONNECTIONS)
            try:
                # They are idle when they have been for a while. Allocators give memory back when somebody asks for some.
                time.sleep(IDLE_SECONDS)
                held += client.hold_idle(server.port, "/bytes/127", LATE_CONNECTIONS)
                after, peak = server.process.resident(), server.process.peak()
            finally:
                client.release(held)
            row.numbers = {"memory": before, "held": after, "idle": after - before, "peak": peak}
