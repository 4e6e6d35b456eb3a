"""A real HTTP server on the loopback interface that answers as a test says, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["CERTIFICATE_AUTHORITY", "Server", "Taken", "answer", "serving"]

_TLS = Path(__file__).parent / "tls"
CERTIFICATE_AUTHORITY = _TLS / "ca.pem"
"""Who has signed the server's certificate, which is one of erp.example."""


class Taken(NamedTuple):
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def answer(body: Any = None, status: int = 200, content_type: str = "application/json", **headers: str) -> bytes:
    """The bytes of a response; a body that is no bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(content)}", f"Content-Type: {content_type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


Answers = bytes | Callable[[Taken], bytes] | list[bytes]


@dataclass
class Server:
    """Where it listens, what it answers (one after another where it is a list), what it was sent."""

    answers: Answers
    port: int = 0
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    left: int = 0
    """Clients that went before they had been told everything."""
    delay_s: float = 0.0
    waits_for: dict[str, asyncio.Event] = field(default_factory=dict)
    """By path, what must have come about before it answers."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            taken = await _taken(reader)
            self.taken.append(taken)
            await asyncio.sleep(self.delay_s)
            gate = self.waits_for.get(taken.line.split()[1])
            if gate is not None:
                await gate.wait()
            writer.write(self._answer(taken))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left += 1
        finally:
            writer.close()

    def _answer(self, taken: Taken) -> bytes:
        if isinstance(self.answers, list):
            return self.answers[min(len(self.taken), len(self.answers)) - 1]
        return self.answers if isinstance(self.answers, bytes) else self.answers(taken)


async def _taken(reader: asyncio.StreamReader) -> Taken:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    return Taken(head[0], headers, await reader.readexactly(int(headers.get("content-length", 0))))


@asynccontextmanager
async def serving(answers: Answers, *, tls: bool = False, delay_s: float = 0.0) -> AsyncIterator[Server]:
    """A server for as long as the block runs."""
    server = Server(answers, delay_s=delay_s)
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_TLS / "server.pem")
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()
