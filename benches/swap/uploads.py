"""An address -> slow uploads through the proxy, a few bytes at a time, and what the backend says that it got.

In: a host, how many. Out: how many failed, and why. Never: one that is over before it is told to be.
"""

import asyncio
import collections
import os
import zlib

# What one uploads in all, a piece of it, and the seconds between two pieces.
_LENGTH, _PIECE, _EVERY = 1 << 20, 256, 0.1
_PATIENCE = 30.0


class Uploads:
    """Uploads to one host, slow until they are finished."""

    def __init__(self, address, host):
        """None has begun yet."""
        self._address, self._host = address, host
        self._finish, self._tasks = asyncio.Event(), []
        # Pieces that were sent slowly, of all uploads.
        self.pieces = 0
        # Reason -> how many.
        self.failed = collections.Counter()

    def begin(self, count):
        """Starts them."""
        self._tasks = [asyncio.create_task(self._watched()) for _ in range(count)]

    async def finish(self):
        """Sends what is left of each at once, and waits for the backend's answers."""
        self._finish.set()
        await asyncio.gather(*self._tasks)

    async def _watched(self):
        try:
            await self._upload()
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.failed[str(error) or type(error).__name__] += 1

    async def _upload(self):
        body = os.urandom(_LENGTH)
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(f"POST /count HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\nContent-Length: {_LENGTH}\r\n\r\n".encode())
            at = 0
            while at < _LENGTH and not self._finish.is_set():
                writer.write(body[at : at + _PIECE])
                await writer.drain()
                at, self.pieces = at + _PIECE, self.pieces + 1
                if reader.at_eof():
                    raise ConnectionError("closed before its end")
                await asyncio.sleep(_EVERY)
            writer.write(body[at:])
            async with asyncio.timeout(_PATIENCE):
                await writer.drain()
                answer = await reader.read()
            expected = f"{_LENGTH} {zlib.crc32(body)}\n".encode()
            if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(expected):
                raise ConnectionError(f"answered {answer[:200].partition(bytes([13, 10]))[0].decode(errors='replace') or 'nothing'}")
        finally:
            writer.close()
