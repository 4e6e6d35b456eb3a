"""Commands that other processes leave in the store, carried out by its owner; the reply is committed with what was done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from remit.control.billing.departments import DepartmentBudgets
from remit.control.custody import Custody
from remit.control.evaluating.evaluation import Asked
from remit.control.operations import Operations
from remit.control.policies.applying import PolicyDesk
from remit.control.queries import only_own
from remit.control.releases.registry import Registry
from remit.control.releases.webhooks import Webhooks
from remit.control.schedules import remove
from remit.control.views import plain
from remit.engine.engine import Engine
from remit.errors import ErrorInfo, MisuseError, RemitError, StoreError
from remit.kernel.lease import CLAIM_RENEWAL_MS
from remit.kernel.usage import Budget
from remit.store.records import Command

__all__ = ["Inbox"]

_LOOK_EVERY_S = 0.1
_REGISTRY = {name: name for name in ("publish", "promote", "rollback", "deprecate", "retire", "declare")}
_GATE = {"record-evaluation": "record", "require-evaluation": "require"}
_LISTS = frozenset({"live", "ignore", "expect"})
_POLICIES = {"policy-apply": "apply", "policy-remove": "remove"}
_LONG = frozenset({"evaluate", "erase", "sweep"})
_CUSTODY = {name: name for name in ("erase", "set_retention", "sweep", "acknowledge", "rotate_keys")}
_WEBHOOKS = {"add-webhook": "add", "remove-webhook": "remove"}
_BUDGETS = {"set-budget": "set", "remove-budget": "remove"}
_log = logging.getLogger("remit.inbox")


class Inbox:
    """Looks for commands while the app is open, and shows a sign of life to other processes (L21)."""

    def __init__(
        self, engine: Engine, operations: Operations, registry: Registry, desk: PolicyDesk, webhooks: Webhooks
    ) -> None:
        self._engine = engine
        self._operations = operations
        self._registry = registry
        self._desk = desk
        self._webhooks = webhooks
        self._task: asyncio.Task[None] | None = None
        self._long: dict[str, asyncio.Task[None]] = {}
        """Commands that take their time, by id: the others do not wait for them."""

    def open(self) -> None:
        """Begin to look."""
        self._task = self._engine.loop.create_task(self._watch(), name="remit-inbox")

    def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
        for task in self._long.values():
            task.cancel()

    async def _watch(self) -> None:
        loop = self._engine.loop
        # Real time, whatever clock executions have: other processes wait for a sign of life.
        renewed_at = loop.time()
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                if loop.time() - renewed_at >= CLAIM_RENEWAL_MS / 1_000:
                    self._engine.store.renew()
                    renewed_at = loop.time()
                if self._engine.store.inbox_changed():
                    for command in self._engine.store.commands():
                        if command.verb not in _LONG:
                            await self._carry_out(command)
                        elif command.id not in self._long:
                            self._begin(command)
            except StoreError as error:
                _log.warning("the inbox cannot be read: %s", error)

    def _begin(self, command: Command) -> None:
        task = self._engine.loop.create_task(self._carry_out(command), name=f"remit-inbox-{command.verb}")
        self._long[command.id] = task
        task.add_done_callback(lambda _: self._long.pop(command.id))

    async def _carry_out(self, command: Command) -> None:
        try:
            if command.arguments.get("erased"):
                raise MisuseError("What was asked here was erased before it could be carried out", code="erased")
            if "execution_id" in command.arguments:
                only_own(self._engine.store, command.arguments.get("tenant"), command.arguments["execution_id"])
            command.reply = {"done": await self._do(command.verb, command.arguments)}
        except RemitError as error:
            info: ErrorInfo = error.info()
            command.reply = {
                "error": {
                    "code": info.code,
                    "class": str(info.error_class),
                    "message": info.message,
                    "details": info.details,
                }
            }
        self._engine.durability.reply(command)
        await self._engine.durability.barrier()

    async def _do(self, verb: str, arguments: dict[str, Any]) -> Any:
        act, by = self._operations, arguments.get("by")
        if verb == "answer":
            return await act.answer(arguments["execution_id"], arguments["value"], arguments.get("ask"), by)
        if verb == "send":
            return await act.send(
                arguments["execution_id"], arguments["event"], arguments.get("payload"), arguments.get("dedupe"), by
            )
        if verb == "cancel":
            return await act.cancel(arguments["execution_id"], by=by)
        if verb == "retry":
            return await act.retry(arguments["execution_id"], arguments.get("from_step"), by)
        if verb == "unschedule":
            return await remove(self._engine, arguments["name"], arguments.get("tenant"))
        if verb == "top-up":
            budget = Budget(arguments.get("tokens"), arguments.get("cost"))
            return await act.top_up(arguments["execution_id"], budget, by)
        return await self._govern(verb, arguments)

    async def _govern(self, verb: str, arguments: dict[str, Any]) -> Any:
        """What is not about one execution."""
        if verb == "evaluate":
            return (await self._registry.gate.evaluate(_asked(arguments))).as_dict()
        return plain(await self._act_of(verb)(**arguments))

    def _act_of(self, verb: str) -> Callable[..., Awaitable[Any]]:
        """What does it, with the command's arguments as its own."""
        rooms: list[tuple[Mapping[str, str], Any]] = [
            (_GATE, self._registry.gate),
            (_POLICIES, self._desk),
            (_WEBHOOKS, self._webhooks),
            (_CUSTODY, Custody(self._engine)),
            (_BUDGETS, DepartmentBudgets(self._engine)),
            (_REGISTRY, self._registry),
        ]
        for names, room in rooms:
            if verb in names:
                act: Callable[..., Awaitable[Any]] = getattr(room, names[verb])
                return act
        raise MisuseError(
            f"{verb!r} is no command this Remit knows: upgrade the process that owns the store", code="invalid_input"
        )


def _asked(arguments: dict[str, Any]) -> Asked:
    return Asked(**arguments | {name: tuple(arguments.get(name, ())) for name in _LISTS})
