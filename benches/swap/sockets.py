"""An address -> many WebSockets through the proxy, each of which sends a ping now and then and waits for its echo.

In: hosts, how many. Out: how many were dropped, and why. Never: a ping without a deadline, a dropped one that is opened again.
"""

import asyncio
import base64
import collections
import os
import random

# Seconds between two pings of one WebSocket, about; and those that an echo may take.
_EVERY, _PATIENCE = 2.0, 10.0
_MASK = b"\x11\x22\x33\x44"


class Sockets:
    """WebSockets of one host, open until they are closed."""

    def __init__(self, address, host):
        """None is open yet."""
        self._address, self._host = address, host
        self._tasks, self._streams, self._closing = [], [], False
        self.echoes = 0
        # Reason -> how many.
        self.dropped = collections.Counter()

    async def open(self, count):
        """Opens them, a few at a time, and lets them ping."""
        few = asyncio.Semaphore(50)

        async def one():
            async with few:
                return await asyncio.wait_for(self._open(), _PATIENCE)

        for stream in await asyncio.gather(*(one() for _ in range(count)), return_exceptions=True):
            if isinstance(stream, BaseException):
                self.dropped[f"not opened: {_reason(stream)}"] += 1
            else:
                self._streams.append(stream)
        self._tasks = [asyncio.create_task(self._ping(number, *stream)) for number, stream in enumerate(self._streams)]

    async def close(self):
        """One last ping each, then all are closed."""
        self._closing = True
        await asyncio.gather(*self._tasks)
        for _, writer in self._streams:
            writer.close()

    async def _open(self):
        reader, writer = await asyncio.open_connection(*self._address)
        key = base64.b64encode(os.urandom(16)).decode()
        fields = f"Host: {self._host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}"
        writer.write(f"GET /echo HTTP/1.1\r\n{fields}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            writer.close()
            raise ConnectionError(head.partition(b"\r\n")[0].decode())
        return reader, writer

    async def _ping(self, number, reader, writer):
        # Not all at once.
        await asyncio.sleep(random.uniform(0, _EVERY))
        ping = 0
        try:
            while True:
                last, ping = self._closing, ping + 1
                text = f"{number % 10000:04}-{ping % 100000:05}".encode()
                writer.write(frame(text, _MASK))
                # A frame of the server's has no mask: two bytes, then the text.
                echo = await asyncio.wait_for(reader.readexactly(2 + len(text)), _PATIENCE)
                if echo != frame(text):
                    raise ConnectionError("a wrong echo")
                self.echoes += 1
                if last:
                    return
                await asyncio.sleep(_EVERY * random.uniform(0.5, 1.5))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.dropped[_reason(error)] += 1


def frame(text, mask=None):
    """A text frame of at most 125 bytes (RFC 6455, section 5.2)."""
    if mask is None:
        return bytes([0x81, len(text)]) + text
    return bytes([0x81, 0x80 | len(text)]) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))


def _reason(error):
    return {"IncompleteReadError": "closed", "TimeoutError": "no answer"}.get(type(error).__name__) or str(error)
