"""Webhooks: operators' URLs that hear of what happens to versions, at least once, signed as Standard Webhooks does."""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_bytes, token_hex
from urllib.parse import urlsplit

from remit.control.views import moment
from remit.engine.engine import Engine
from remit.engine.values.texts import optional_text
from remit.errors import InvalidInput
from remit.kernel.webhooks import PREFIX, backoff_ms, key_of
from remit.store.port import Reader
from remit.store.records import AlertRecord, MessageRecord, WebhookRecord

__all__ = ["WebhookView", "WebhookViews", "Webhooks", "webhook_views"]

_AT_ONCE = 8
_log = logging.getLogger("remit.webhooks")


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook; `waiting` messages are still to be delivered, `problem` is why the last attempt of one of them failed.

    `secret` is shown when it is made, and never again.
    """

    id: str
    url: str
    owner: str | None
    private: bool
    added_at: datetime | None
    added_by: str | None
    waiting: int = 0
    problem: str | None = None
    secret: str | None = field(default=None, repr=False)


WebhookViews = list[WebhookView]


def webhook_views(reader: Reader) -> WebhookViews:
    """All webhooks, the oldest first."""
    waiting = reader.messages_waiting()
    return [_view(each, *waiting.get(each.id, (0, None))) for each in reader.webhooks()]


def _view(record: WebhookRecord, waiting: int = 0, problem: str | None = None, secret: str | None = None) -> WebhookView:
    private, added = bool(record.private), moment(record.added_at)
    return WebhookView(record.id, record.url, record.owner, private, added, record.added_by, waiting, problem, secret)


class Webhooks:
    """The webhooks of one open app, and the task that delivers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._task: asyncio.Task[None] | None = None
        self._something = asyncio.Event()

    def open(self) -> None:
        """Deliver from now on, where there is somebody to deliver to."""
        self._engine.outbox.wake = self._wake
        if self._engine.outbox.webhooks:
            self._wake()

    def close(self) -> None:
        """Stop; what is not delivered yet is delivered by the next owner."""
        self._engine.outbox.wake = None
        if self._task is not None:
            self._task.cancel()

    def _wake(self) -> None:
        self._something.set()
        if self._task is None:
            self._task = self._engine.loop.create_task(self._deliver(), name="remit-webhooks")

    # -- what operators do --------------------------------------------------------------------------------------------

    async def add(
        self,
        url: str,
        *,
        owner: str | None = None,
        private: bool = False,
        secret: str | None = None,
        by: str | None = None,
    ) -> WebhookView:
        """Let a URL hear of refused promotions and of versions that are taken back; its view has the secret this once.

        `owner`: only of what concerns versions that this one published. `private`: its host need not be public. Raises
        InvalidInput.
        """
        from remit.control.releases.delivery import checked_url, may_reach

        optional_text(by, "by")
        optional_text(owner, "owner")
        checked_url(url, private=private)
        await may_reach(url, private=private)
        given = secret or PREFIX + base64.b64encode(token_bytes(32)).decode()
        try:
            key_of(given)
        except ValueError as error:
            raise InvalidInput(f"secret=: {error}") from None
        now = self._engine.clock.now()
        record = WebhookRecord(f"wh_{token_hex(6)}", url, given, owner, int(private), now, by)
        self._engine.outbox.put(record)
        host = urlsplit(url).hostname
        self._engine.audit.control(None, "webhook_added", by, {"webhook": record.id, "host": host, "owner": owner})
        await self._engine.durability.barrier()
        return _view(record, secret=given)

    async def remove(self, webhook_id: str, by: str | None = None) -> bool:
        """Remove a webhook with what was still to be delivered there; False where there is none."""
        optional_text(by, "by")
        removed = self._engine.outbox.remove(webhook_id)
        if removed:
            self._engine.audit.control(None, "webhook_removed", by, {"webhook": webhook_id})
        await self._engine.durability.barrier()
        return removed

    # -- delivery -----------------------------------------------------------------------------------------------------

    async def _deliver(self) -> None:
        engine = self._engine
        while True:
            self._something.clear()
            await engine.durability.settled()
            due = engine.store.messages_due(engine.clock.now(), _AT_ONCE)
            if due:
                await asyncio.gather(*(self._attempt(each) for each in due))
                await engine.durability.barrier()
                continue
            next_at = engine.store.next_message()
            timer = None
            if next_at is not None:
                timer = engine.clock.call_later(max(next_at - engine.clock.now(), 1), self._something.set)
            await self._something.wait()
            if timer is not None:
                timer.cancel()

    async def _attempt(self, message: MessageRecord) -> None:
        from remit.control.releases.delivery import deliver

        engine = self._engine
        webhook = engine.outbox.webhooks[message.webhook]
        problem = await deliver(webhook, message, int(engine.clock.date().timestamp()))
        if message.webhook not in engine.outbox.webhooks:
            return  # removed meanwhile, and its messages with it
        message.attempts, message.problem = message.attempts + 1, problem
        now = engine.clock.now()
        if problem is None:
            message.next_at, message.delivered_at = None, now
        else:
            pause = backoff_ms(message.attempts)
            message.next_at = None if pause is None else now + pause
            _log.warning("message %s was not taken by webhook %s: %s", message.id, webhook.id, problem)
            if pause is None:
                self._given_up(webhook, message)
        engine.durability.message(message)

    def _given_up(self, webhook: WebhookRecord, message: MessageRecord) -> None:
        told = f"Webhook {webhook.id} ({webhook.url}) did not take message {message.id} in {message.attempts} attempts: {message.problem}"
        details = b'{"webhook":"%s","message":"%s"}' % (webhook.id.encode(), message.id.encode())
        self._engine.durability.alert(
            AlertRecord("webhook_undelivered", None, None, told, details, self._engine.clock.now())
        )
