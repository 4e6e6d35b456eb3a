"""A small SMTP server on the loopback interface that files every mail it is given: the demo's mailbox."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from pathlib import Path

__all__ = ["MailSink", "mail_sink"]

_MAX_MAIL = 1024 * 1024
_REPLIES = {
    b"EHLO": b"250 payables sink",
    b"HELO": b"250 payables sink",
    b"MAIL": b"250 sender noted",
    b"RCPT": b"250 recipient noted",
    b"RSET": b"250 forgotten",
    b"NOOP": b"250 nothing done",
}


class MailSink:
    """Files mails as `folder/<Message-ID>.eml`; one that comes twice is filed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One SMTP session (RFC 5321 as far as a client with one mail needs it)."""
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # the client went away; what it had not finished was not accepted
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _reply(writer, b"220 payables sink ready")
        while True:
            verb = (await reader.readuntil(b"\r\n"))[:4].strip().upper()
            if verb == b"QUIT":
                await _reply(writer, b"221 bye")
                return
            if verb == b"DATA":
                await _reply(writer, b"354 end with a line holding only a dot")
                await _reply(writer, await self._take(reader))
            else:
                await _reply(writer, _REPLIES.get(verb, b"502 not known here"))

    async def _take(self, reader: asyncio.StreamReader) -> bytes:
        lines: list[bytes] = []
        size = 0
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            size += len(line)
            if size <= _MAX_MAIL:
                lines.append(line[1:] if line.startswith(b".") else line)
        if size > _MAX_MAIL:
            return b"552 too large"
        self._file(b"".join(lines))  # not in a thread: the clients may hold them all
        return b"250 filed"

    def _file(self, content: bytes) -> None:
        name = str(message_from_bytes(content).get("Message-ID", "")).strip("<> ")
        safe = re.sub(r"[^A-Za-z0-9.@_-]", "_", name).lstrip(".") or hashlib.sha256(content).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{safe[:200]}.eml").write_bytes(content)


@asynccontextmanager
async def mail_sink(folder: Path) -> AsyncIterator[MailSink]:
    """A sink that listens on a free port of the loopback interface until the block ends."""
    sink = MailSink(folder)
    server = await asyncio.start_server(sink.serve, sink.host, 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        await server.wait_closed()


async def _reply(writer: asyncio.StreamWriter, text: bytes) -> None:
    writer.write(text + b"\r\n")
    await writer.drain()
