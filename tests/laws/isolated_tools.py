"""A process that another process can import, with a tool whose parameters a policy looks at."""

from __future__ import annotations

from pydantic import BaseModel

from remit import DomainError, process, step, tool

__all__ = ["apart"]


class Letter(BaseModel):
    to: str


@tool("mail.send")
async def send(letter: Letter) -> str:
    return f"sent to {letter.to}"


@tool("erp.write")
def write(text: str) -> str:
    return text


@step
async def keep(text: str) -> str:
    return text


@process(isolation="process", tags=["pii"])
async def apart(text: str) -> list[str]:
    try:
        written = await write(text)
    except DomainError as error:
        written = error.code
    return [await send(Letter(to=text)), written, await keep(text)]
