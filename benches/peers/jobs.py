"""The list of jobs: what each proxy has to do, and how it is asked to.

In: nothing. Out: jobs by name. Never: a job that one proxy does another way than the others; who can't do it has a dash in the table.
"""

import dataclasses
import functools
from collections.abc import Callable

import client
import load
import proxies

SIZES = {"127": 127, "10k": 10 << 10, "1m": 1 << 20}
UPLOAD = 100 << 20
IDLE_CONNECTIONS = 10_000
# Of a proxy's highest throughput: below it, latency is that of the proxy and not of a queue.
SHARE_OF_SLOWEST, SHARE_OF_YARDSTICK = 0.5, 0.7


@dataclasses.dataclass(frozen=True)
class Variant:
    """How a proxy is started, and what it is called in the table then."""

    suffix: str = ""
    access_log: bool = False
    kept: bool = False


PLAIN = Variant()
WITH_LOG = Variant(suffix=", access log", access_log=True)
KEPT = Variant(suffix=", kept", kept=True)


@dataclasses.dataclass(frozen=True)
class Job:
    """One table. `prepare` looks at the servers and tells how to load one of them: `load(server, seconds)`."""

    name: str
    title: str
    # What a proxy can do that takes part.
    needs: str
    # Where it has to answer before it starts.
    probe: str
    prepare: Callable | None
    quick: bool = False
    # A round takes so many seconds, whatever was asked for.
    at_least: float = 0
    # How each proxy is started; `extra`: how those are started, too, that can do `extra_needs`.
    variants: tuple = (PLAIN,)
    extra: tuple = ()
    extra_needs: str = ""
    # What is needed beside the proxies.
    programs: tuple = ()


def every_job():
    """By name, in the order of the tables."""
    jobs = [*_http(), *_http_otherwise(), *_latency(), _fastcgi(), *_files(), *_others()]
    return {job.name: job for job in jobs}


def _fixed(function, *words, **options):
    """A load that does not depend on the servers."""
    return lambda servers, seconds: lambda server, seconds: function(server, *words, seconds=seconds, **options)


def _http():
    for name, size in SIZES.items():
        for connections in (1, 64, 1000):
            path = f"/bytes/{size}"
            yield Job(
                name=f"http-{name}-{connections}",
                title=f"HTTP over a unix socket: {_words(size)}, {_connections(connections)}",
                needs="http",
                probe=path,
                prepare=_fixed(load.wrk, path, connections, by_bytes=size >= 1 << 20),
                quick=(size, connections) == (127, 64),
                # A thousand large answers at once take their time: each of them has to come to its end.
                at_least=4 if size * connections > 1 << 29 else 0,
                programs=("wrk",),
            )


def _http_otherwise():
    yield Job(
        name="h2load",
        title="As seen by h2load in place of wrk: 127 B, 64 connections",
        needs="http",
        probe="/bytes/127",
        prepare=_fixed(load.h2load, "/bytes/127", 64),
        programs=("h2load",),
    )
    yield Job(
        name="access-log",
        title="With and without an access log: 127 B, 64 connections",
        needs="log",
        probe="/bytes/127",
        prepare=_fixed(load.wrk, "/bytes/127", 64),
        variants=(PLAIN, WITH_LOG),
        programs=("wrk",),
    )


def _latency():
    for name, title, choose, share, quick in (
        ("rate-all", "half of what the slowest one bears", lambda bears: min(bears.values()), SHARE_OF_SLOWEST, True),
        ("rate-nginx", "70 % of what nginx bears", lambda bears: bears.get(proxies.YARDSTICK) or max(bears.values()), SHARE_OF_YARDSTICK, False),
    ):
        yield Job(
            name=name,
            title=f"Latency at equal load: 127 B, 64 connections, {title}",
            needs="http",
            probe="/bytes/127",
            prepare=functools.partial(_equal_rate, choose, share),
            quick=quick,
            programs=("wrk",),
        )


def _equal_rate(choose, share, servers, seconds):
    """Measures what each bears -> the rate for all."""
    bears = {}
    for server in servers:
        result = load.wrk(server, "/bytes/127", 64, seconds)
        bears[server.proxy.NAME] = result.requests / result.seconds
    rate = int(share * choose(bears))
    return lambda server, seconds: load.at_rate(server, "/bytes/127", 64, rate, seconds)


def _fastcgi():
    return Job(
        name="fastcgi",
        title="FastCGI to php-fpm: a script of one line, 8 connections",
        needs="fastcgi",
        probe="/hello.php",
        prepare=_fixed(load.wrk, "/hello.php", 8),
        quick=True,
        extra=(KEPT,),
        extra_needs="fastcgi kept",
        programs=("wrk", "php-fpm8.2"),
    )


def _files():
    for name, connections in (("1K", 64), ("100K", 64)):
        yield Job(
            name=f"file-{name.lower()}",
            title=f"A file of {name[:-1]} KB, {connections} connections",
            needs="files",
            probe=f"/files/{name}",
            prepare=_fixed(load.wrk, f"/files/{name}", connections),
            quick=name == "1K",
            programs=("wrk",),
        )
    yield Job(
        name="file-100m",
        title="A file of 100 MB, 1 connection",
        needs="files",
        probe="/files/1K",
        prepare=lambda *_: lambda server, seconds: load.transfers(client.downloads(server.port, "/files/100M", seconds)),
        quick=True,
    )


def _others():
    yield Job(
        name="upload-100m",
        title="An upload of 100 MB that the backend reads and drops, 1 connection",
        needs="upload",
        probe="/bytes/127",
        prepare=lambda *_: lambda server, seconds: load.transfers(client.uploads(server.port, "/upload", UPLOAD, seconds)),
    )
    yield Job(
        name="websocket",
        title="WebSocket echo: messages of 125 B there and back, 64 connections",
        needs="websocket",
        probe="/bytes/127",
        prepare=_fixed(load.websockets, "/echo", 64),
    )
    yield Job(
        name="memory",
        title=f"Memory: after one request, and with {IDLE_CONNECTIONS:,} idle connections",
        needs="idle",
        probe="/bytes/127",
        prepare=None,
        quick=True,
    )


def _words(size):
    return f"{size} B" if size < 1024 else f"{size >> 10} KB" if size < 1 << 20 else f"{size >> 20} MB"


def _connections(count):
    return "1 connection" if count == 1 else f"{count:,} connections"
