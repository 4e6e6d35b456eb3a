"""What happens to versions as messages for webhooks: written in the same event as what they tell of, delivered at least once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from remit.store.records import MessageRecord, WebhookRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Outbox"]


class Outbox:
    """The webhooks of one store, and who is woken when there is something to deliver."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.webhooks = {each.id: each for each in engine.store.webhooks()}
        self.wake: Callable[[], None] | None = None

    def put(self, webhook: WebhookRecord) -> None:
        """A webhook is new."""
        self.webhooks[webhook.id] = webhook
        self._engine.durability.webhook(webhook.id, webhook)

    def remove(self, webhook_id: str) -> bool:
        """A webhook is no more, nor what was still to be delivered there; False where there was none."""
        if self.webhooks.pop(webhook_id, None) is None:
            return False
        self._engine.durability.webhook(webhook_id, None)
        return True

    def tell(self, code: str, message: str, details: dict[str, Any]) -> None:
        """Leave a message for each webhook that it concerns."""
        now = self._engine.clock.now()
        for webhook in self.webhooks.values():
            concerns = details if webhook.owner is None else _of_owner(webhook.owner, details)
            if concerns is None:
                continue
            told = {
                "type": f"version.{code}",
                "timestamp": self._engine.clock.date().isoformat(),
                "data": {"message": message, **concerns},
            }
            body = orjson.dumps(told, default=str)
            self._engine.durability.message(MessageRecord(f"msg_{uuid4().hex}", webhook.id, body, now, 0, now))
        if self.webhooks and self.wake is not None:
            self._engine.durability.when_durable(self.wake)


def _of_owner(owner: str, details: dict[str, Any]) -> dict[str, Any] | None:
    """What of it concerns who published those callers, or the version itself; None for nothing."""
    mine = [each for each in details.get("callers", ()) if isinstance(each, dict) and each.get("owner") == owner]
    if mine:
        return {**details, "callers": mine}
    return details if details.get("owner") == owner else None
