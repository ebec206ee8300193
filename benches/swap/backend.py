"""A unix socket -> a backend that echoes WebSockets, and says how long an upload was: `backend.py SOCKET`.

In: connections. Out: echoes, counts. Never: a body kept.
"""

import asyncio
import base64
import hashlib
import sys
import zlib

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PIECE = 65536


async def serve(path):
    """Serves until it is ended."""
    server = await asyncio.start_unix_server(_connection, path, backlog=4096)
    async with server:
        await server.serve_forever()


async def _connection(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            if fields.get("upgrade", "").lower() == "websocket":
                await _echo(reader, writer, fields["sec-websocket-key"])
                return
            await _count(reader, writer, fields.get("content-length"))
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _echo(reader, writer, key):
    """Text frames of at most 125 bytes come back without their mask (RFC 6455, section 5.2)."""
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()
    fields = f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}"
    writer.write(f"HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n\r\n".encode())
    while True:
        kind, length = await reader.readexactly(2)
        if kind != 0x81 or not 0x80 <= length <= 0x80 + 125:
            return
        mask = await reader.readexactly(4)
        text = await reader.readexactly(length & 0x7F)
        writer.write(bytes([kind, len(text)]) + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text)))
        await writer.drain()


async def _count(reader, writer, length):
    """Reads a body of announced length, and answers how long it was, and its CRC 32."""
    if length is None:
        writer.write(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\n\r\n")
        return
    left, count, check = int(length), 0, 0
    while left > 0 and (piece := await reader.read(min(left, _PIECE))):
        left, count, check = left - len(piece), count + len(piece), zlib.crc32(piece, check)
    said = f"{count} {check}\n"
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode())
    await writer.drain()


if __name__ == "__main__":
    try:
        asyncio.run(serve(sys.argv[1]))
    except KeyboardInterrupt:
        pass
