"""Whoever owns a caller hears of a refused promotion: at least once, signed, and never where it must not go (L41, L42)."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from remit import InvalidInput, MisuseError, Remit
from remit.kernel.webhooks import ATTEMPTS
from remit.testing import TestApp, VirtualClock
from tests.laws.registry_scene import WithoutShelf, caller, child, open_shop
from tests.laws.scene import open_store


class Listener:
    """Takes messages on loopback, and answers with the statuses it is given, then with 204."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in headers.items()}
        self.got.append((headers, await reader.readexactly(int(headers["content-length"]))))
        status = self.statuses.pop(0) if self.statuses else 204
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nLocation: {self.url}\r\n\r\n".encode())
        writer.close()

    def told(self, number: int = 0) -> dict[str, Any]:
        """The data of a message."""
        body: dict[str, Any] = json.loads(self.got[number][1])
        return body


@asynccontextmanager
async def listening(*statuses: int) -> AsyncIterator[Listener]:
    listener = Listener(*statuses)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    async with server:
        yield listener


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait for it."""
    async with asyncio.timeout(10):
        while not (found if isinstance(found := holds(), bool) else await found):  # noqa: ASYNC110  # looked up, nobody tells
            await asyncio.sleep(0.01)


async def refused(app: Remit) -> None:
    """A promotion that concerns one caller of ann's and one of bob's."""
    await open_shop(app, child("2.0.0"), published=(child("3.0.0", WithoutShelf),))
    for name, owner in (("order", "ann"), ("returns", "bob")):
        await app.publish(caller(name), by=owner)
        await app.promote(f"{name}@1.0.0")
    with pytest.raises(MisuseError):
        await app.promote("inventory@3.0.0")


async def test_L41_the_owner_of_a_caller_hears_of_a_refused_promotion() -> None:
    async with listening() as everything, listening() as anns, listening() as carls, Remit(":memory:") as app:
        hook = await app.add_webhook(everything.url, private=True, by="root")
        await app.add_webhook(anns.url, owner="ann", private=True)
        await app.add_webhook(carls.url, owner="carl", private=True)
        await refused(app)
        await until(lambda: len(everything.got) == len(anns.got) == 1)
        told = everything.told()
        assert told["type"] == "version.callers_to_migrate"
        assert [each["owner"] for each in told["data"]["callers"]] == ["ann", "bob"]
        assert [each["caller"] for each in anns.told()["data"]["callers"]] == ["order"]
        headers, body = everything.got[0]
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        assert hook.secret is not None
        key = base64.b64decode(hook.secret.removeprefix("whsec_"))
        assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()

        async def nothing_waits() -> bool:
            return [each.waiting for each in await app.webhooks()] == [0, 0, 0]

        await until(nothing_waits)
        assert (carls.got, [each.secret for each in await app.webhooks()]) == ([], [None] * 3)


async def test_L42_the_publisher_hears_that_a_version_was_taken_back() -> None:
    async with listening() as anns, listening() as bobs, Remit(":memory:") as app:
        await app.add_webhook(anns.url, owner="ann", private=True)
        await app.add_webhook(bobs.url, owner="bob", private=True)
        await open_shop(app, child("2.0.0"), published=(child("2.1.0"),))
        await app.rollout("inventory@2.1.0", 0.5)
        await app.rollback("inventory@2.1.0", by="eve")
        await until(lambda: len(anns.got) == 1)
        assert anns.told()["type"] == "version.rolled_back"
        assert (anns.told()["data"]["version"], anns.told()["data"]["by"], bobs.got) == ("2.1.0", "eve", [])


async def test_L41_a_message_that_is_not_taken_is_sent_again_under_the_same_id() -> None:
    clock = VirtualClock()
    async with listening(500, 302) as listener, TestApp(clock=clock) as app:
        await app.add_webhook(listener.url, private=True)
        await refused(app)
        await until(lambda: len(listener.got) == 1)
        (view,) = await app.webhooks()
        for count, pause in ((2, "5s"), (3, "30s")):

            async def waits() -> bool:
                return (await app.webhooks())[0].problem is not None and clock.next_due is not None

            await until(waits)
            await asyncio.sleep(0.05)
            assert len(listener.got) == count - 1
            await clock.advance(pause)
            await until(lambda expected=count: len(listener.got) == expected)  # type: ignore[misc]
        assert len({headers["webhook-id"] for headers, _ in listener.got}) == 1
        assert view.id == (await app.webhooks())[0].id


async def test_L41_a_message_that_is_never_taken_is_given_up_with_an_alert() -> None:
    clock = VirtualClock()
    async with listening(*[410] * ATTEMPTS) as listener, TestApp(clock=clock) as app:
        await app.add_webhook(listener.url, private=True)
        await refused(app)
        for count in range(1, ATTEMPTS + 1):
            await until(lambda expected=count: len(listener.got) == expected)  # type: ignore[misc]

            async def judged(expected: int = count) -> bool:
                return expected == ATTEMPTS or clock.next_due is not None

            await until(judged)
            await clock.advance(0 if clock.next_due is None else clock.next_due - clock.date())

        async def alerted() -> bool:
            return bool(await app.alerts(code="webhook_undelivered"))

        await until(alerted)
        assert (await app.webhooks())[0].waiting == 0
        assert "the server answered 410" in (await app.alerts(code="webhook_undelivered"))[0].message


async def test_L41_the_next_owner_delivers_what_is_left_and_nothing_that_was_delivered(tmp_path: Path) -> None:
    async with listening() as listener:
        closed = listener.url
        async with Remit(open_store(tmp_path)) as app:
            await app.add_webhook(closed.replace("/hook", "/other"), private=True)
            listener.statuses = [503]
            await refused(app)
            await until(lambda: len(listener.got) == 1)
            hook = (await app.webhooks())[0].id
        import apsw

        with apsw.Connection(str(tmp_path / "remit.db")) as connection:
            connection.execute("UPDATE outbox SET next_at = 1 WHERE next_at IS NOT NULL")
        async with Remit(open_store(tmp_path)) as app:
            await until(lambda: len(listener.got) == 2)

            async def nothing_waits() -> bool:
                return (await app.webhooks())[0].waiting == 0

            await until(nothing_waits)
            assert await app.remove_webhook(hook, by="eve")
            assert not await app.remove_webhook(hook)
            told = [each for each in await app.audit() if each.kind.startswith("webhook_")]
            assert [(each.kind, each.actor) for each in told] == [("webhook_added", None), ("webhook_removed", "eve")]
        async with Remit(open_store(tmp_path)) as app:
            assert await app.webhooks() == []
        assert len(listener.got) == 2


async def test_L41_messages_go_where_the_operator_said_and_nowhere_else() -> None:
    async with listening() as listener, Remit(":memory:") as app:
        for url, private, told in (
            (listener.url, False, "https"),
            (listener.url.replace("http:", "https:"), False, "--private"),
            ("https://169.254.169.254/latest", False, "--private"),
            ("ftp://example.com/", True, "https://host/path"),
            ("https://a:b@example.com/", False, "a user"),
            ("nonsense", False, "https://host/path"),
        ):
            with pytest.raises(InvalidInput, match=told):
                await app.add_webhook(url, private=private)
        with pytest.raises(InvalidInput, match="begins with"):
            await app.add_webhook(listener.url, private=True, secret="x")  # no secret
        assert await app.webhooks() == []
        # A name that leads inside by the time a message is sent is judged again then.
        await app.add_webhook(listener.url, private=True)
        (hook,) = app.engine.outbox.webhooks.values()
        app.engine.outbox.webhooks[hook.id] = type(hook)(hook.id, hook.url, hook.secret, None, 0, 0, None)
        await refused(app)

        async def failed() -> bool:
            return "no public address" in ((await app.webhooks())[0].problem or "")

        await until(failed)
        assert listener.got == []
