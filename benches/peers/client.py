"""One connection to a proxy -> answers, transfers, and the memory of 10,000 that say nothing.

In: a port of 127.0.0.1. Out: what came back. Never: a wait without a limit. Python is fast enough here: the kernel moves the bytes.
"""

import socket
import tempfile
import time

from common.processes import Failed

LIMIT_SECONDS = 60
BLOCK = 1 << 20
IDLE_AT_ONCE = 50


def connect(port):
    """A connection that gives up in the end."""
    one = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_SECONDS)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def head(method, port, path, fields=""):
    """The head of a request."""
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{fields}\r\n".encode("ascii")


def get(port, path):
    """One GET on a connection of its own: (its body, how long head and body are)."""
    with connect(port) as one:
        one.sendall(head("GET", port, path))
        return read_answer(one, keep=True)


def answers(port, path):
    """Whether there is a 200 by now."""
    try:
        get(port, path)
        return True
    except (OSError, Failed):
        return False


def read_answer(one, keep=False):
    """Reads a 200 to its end: (the body if it is to be kept, how long head and body are)."""
    text = b""
    while b"\r\n\r\n" not in text:
        got = one.recv(1 << 16)
        if not got:
            raise Failed("the connection ended")
        text += got
    fields, _, body = text.partition(b"\r\n\r\n")
    if not fields.startswith(b"HTTP/1.1 200"):
        raise Failed(fields.split(b"\r\n")[0].decode(errors="replace"))
    lengths = [line.split(b":")[1] for line in fields.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    if not lengths:
        return _read_chunks(one, body, len(fields) + 4)
    left, block = int(lengths[0]) - len(body), bytearray(BLOCK)
    while left > 0:
        got = one.recv_into(block, min(left, BLOCK))
        if not got:
            raise Failed("the answer is cut")
        left -= got
        if keep:
            body += block[:got]
    return body, len(fields) + 4 + int(lengths[0])


def _read_chunks(one, body, head_length):
    """FastCGI answers have no length: to the last chunk, as they came (small ones only)."""
    while not body.endswith(b"0\r\n\r\n"):
        got = one.recv(1 << 16)
        if not got:
            raise Failed("the answer is cut")
        body += got
    return body, head_length + len(body)


def downloads(port, path, seconds):
    """Whole answers one after the other, until the time is over: how long each took, in seconds."""
    with connect(port) as one:

        def once():
            one.sendall(head("GET", port, path))
            read_answer(one)

        return _repeat(once, seconds)


def uploads(port, path, size, seconds):
    """Whole uploads of a file without content one after the other: how long each took, in seconds."""
    with connect(port) as one, tempfile.TemporaryFile() as file:
        file.truncate(size)

        def once():
            one.sendall(head("PUT", port, path, f"Content-Length: {size}\r\n"))
            file.seek(0)
            one.sendfile(file)
            read_answer(one)

        return _repeat(once, seconds)


def hold_idle(port, path, count):
    """Opens connections, has one answer on each, and keeps them."""
    held = []
    try:
        while len(held) < count:
            some = []
            for _ in range(min(IDLE_AT_ONCE, count - len(held))):
                some.append(connect(port))
                held.append(some[-1])
                some[-1].sendall(head("GET", port, path))
            for one in some:
                read_answer(one)
    except BaseException:
        release(held)
        raise
    return held


def release(held):
    """Closes them."""
    for one in held:
        one.close()


def _repeat(once, seconds):
    took, begin = [], time.monotonic()
    while not took or time.monotonic() - begin < seconds:
        before = time.monotonic()
        once()
        took.append(time.monotonic() - before)
    return took
