"""Messages between the engine and a process that runs a body: length-prefixed pickles over a socket pair of their own.

Both ends are this program; the socket is inherited, has no name and nobody else can connect to it.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from typing import Any

__all__ = ["Channel", "receive_from", "send_to"]

_HEADER = struct.Struct("!I")


class Channel:
    """One end of the pair."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Channel:
        """A channel over one end of a connected pair."""
        reader, writer = await asyncio.open_unix_connection(sock=end)
        return cls(reader, writer)

    def send(self, message: Any) -> None:
        """Send; a message to a dead peer is dropped, its end is seen by `receive`."""
        if not self._writer.is_closing():
            self._writer.write(_packed(message))

    async def flush(self) -> None:
        """Wait until what was sent has left."""
        await self._writer.drain()

    async def receive(self) -> Any:
        """The next message; raises EOFError when the peer is gone."""
        try:
            (size,) = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
            return pickle.loads(await self._reader.readexactly(size))  # noqa: S301  # the peer is our own child
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError("the other process has ended") from error

    def close(self) -> None:
        """Close this end."""
        self._writer.close()


def send_to(end: socket.socket, message: Any) -> None:
    """Send where no loop runs."""
    end.sendall(_packed(message))


def receive_from(end: socket.socket) -> Any:
    """The next message where no loop runs; raises EOFError when the peer is gone."""
    (size,) = _HEADER.unpack(_exactly(end, _HEADER.size))
    return pickle.loads(_exactly(end, size))  # noqa: S301  # the peer is our own parent


def _exactly(end: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        more = end.recv(size - len(found))
        if not more:
            raise EOFError("the other process has ended")
        found += more
    return bytes(found)


def _packed(message: Any) -> bytes:
    payload = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _HEADER.pack(len(payload)) + payload
