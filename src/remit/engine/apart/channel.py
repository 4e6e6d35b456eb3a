"""Messages between the engine and a process that runs a body: length-prefixed pickles over a socket pair of their own.

Both ends are this program; the socket is inherited, has no name and nobody else can connect to it.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from typing import Any

__all__ = ["Channel"]

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
        payload = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        if not self._writer.is_closing():
            self._writer.write(_HEADER.pack(len(payload)) + payload)

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
