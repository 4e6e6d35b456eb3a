"""A process that another process can import, with a tool whose parameters a policy looks at."""

from __future__ import annotations

from pydantic import BaseModel

from remit import DomainError, process, step, tool

__all__ = ["apart", "undone_apart", "undone_here"]


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


def take_back(result: str, letter: Letter) -> str:
    """What it is told comes back as the compensation's own result."""
    return f"{result}, and {letter.to} taken back"


@tool("post.send", compensate=take_back)
async def post(letter: Letter) -> str:
    return f"posted to {letter.to}"


async def _post_and_fail(text: str) -> None:
    await post(Letter(to=text))
    raise DomainError("too_late")


@process(isolation="process", saga=True, tags=["pii"])
async def undone_apart(text: str) -> None:
    await _post_and_fail(text)


@process(saga=True, tags=["pii"])
async def undone_here(text: str) -> None:
    await _post_and_fail(text)


@process(isolation="process", tags=["pii"])
async def apart(text: str) -> list[str]:
    try:
        written = await write(text)
    except DomainError as error:
        written = error.code
    return [await send(Letter(to=text)), written, await keep(text)]
