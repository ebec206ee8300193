"""A hostname -> its answer, over one kept connection; and how long a change takes until it is seen there.

In: an address of 127.0.0.1. Out: status and revision, times. Never: a wait without a deadline, more than one request at a time.
"""

import math
import socket
import time

from .manifests import REVISION
from .processes import Failed

_FIELD = f"\r\n{REVISION.lower()}:".encode()
_MOST = 65536


class Client:
    """One connection, made again whenever the other side has closed it."""

    def __init__(self, address, patience=10):
        """`patience`: seconds for one answer."""
        self._address, self._patience, self._socket, self._rest = address, patience, None, b""
        # The first line of the last answer, or why there was none.
        self._said = "nothing"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes the connection, if there is one."""
        if self._socket:
            self._socket.close()
        self._socket, self._rest = None, b""

    def revision(self, host):
        """The revision that answers for a host; `None`: no answer, or none that is 200 with a revision."""
        try:
            if not self._socket:
                self._socket = socket.create_connection(self._address, self._patience)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(b"GET / HTTP/1.1\r\nHost: " + host.encode() + b"\r\n\r\n")
            head, fields = self._answer()
        except (OSError, ValueError) as error:
            self._said = str(error)
            self.close()
            return None
        self._said = head.partition(b"\r\n")[0].decode(errors="replace")
        if b"\r\nconnection: close" in fields:
            self.close()
        if not head.startswith(b"HTTP/1.1 200") or _FIELD not in fields:
            return None
        return fields.partition(_FIELD)[2].partition(b"\r\n")[0].strip().decode()

    def wait(self, host, revision, patience, pause=0.0):
        """Asks until this revision answers. Returns when it was seen, and how far before that the last other answer had been asked for."""
        deadline = time.perf_counter() + patience
        asked = time.perf_counter()
        while True:
            before, asked = asked, time.perf_counter()
            if self.revision(host) == str(revision):
                seen = time.perf_counter()
                return seen, seen - before
            if time.perf_counter() > deadline:
                raise Failed(f"{host} did not answer with revision {revision} within {patience:.0f} s, but: {self._said}")
            if pause:
                time.sleep(pause)

    def _answer(self):
        """Reads one answer whole, whose length is announced or which is in chunks; returns its head, as it is and in lower case."""
        data = self._rest
        while b"\r\n\r\n" not in data:
            data = self._more(data)
        head, _, body = data.partition(b"\r\n\r\n")
        fields = head.lower() + b"\r\n"
        if b"\r\ntransfer-encoding: chunked" in fields:
            while not body.endswith(b"0\r\n\r\n"):
                body = self._more(body)
            self._rest = b""
        else:
            length = int(fields.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            while len(body) < length:
                body = self._more(body)
            self._rest = body[length:]
        return head, fields

    def _more(self, data):
        piece = self._socket.recv(_MOST)
        if not piece or len(data) > _MOST:
            raise ValueError("closed, or no end of it")
        return data + piece


def percentile(values, part):
    """The smallest value that this part (0 to 1) of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * part) - 1)]
