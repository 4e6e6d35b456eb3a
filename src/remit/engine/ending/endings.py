"""Every way an execution ends, is tried again or is reopened; each is one event, whatever races (L19, L20, L34, L35)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from random import random
from typing import TYPE_CHECKING, Any

from remit.engine.ending.faults import decode_error, encode_error
from remit.engine.governing.judgement import judge_result, noted
from remit.engine.node import Node
from remit.engine.terms import history_begins, note, note_redacted, terms_of
from remit.errors import ErrorClass, ErrorInfo, MisuseError
from remit.kernel.preflight import Rejection
from remit.kernel.retry import Retry, backoff_ms, exhausted, retries
from remit.kernel.states import Status, may
from remit.store import boundaries

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Endings"]

_log = logging.getLogger("remit.engine")


class Endings:
    """Ends executions: exactly one terminal status each; a late completion never revives anything."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- how bodies end -----------------------------------------------------------------------------------------------

    def complete(self, node: Node, result: bytes) -> None:
        """The body returned; filters may keep the result from leaving, or take something out of it (L43)."""
        engine = self._engine
        if engine.governance is not None and node.run is not None:
            passed = judge_result(engine.governance, node, node.run.definition.result, result)
            if passed.denial is not None:
                self._withhold(node, passed.denial)
                return
            if passed.redacted:
                note_redacted(node.record, noted(passed.redacted, "result"))
            result = passed.payload
        node.record.result = result
        self._cancel_children(node, awaited_only=True)
        self._end(node, Status.COMPLETED, None)
        self._tell(node)

    def _withhold(self, node: Node, denial: Rejection) -> None:
        """The result does not leave; whoever does not hear of the failure otherwise gets an alert."""
        error = denial.error(node.id, node.path)
        if node.parent is not None and node.record.awaited:
            self._engine.alert(node, error.code, error.message, error.details)
        self.fail(node, error, None)

    def fail(self, node: Node, error: ErrorInfo, fault: dict[str, Any] | None, *, child_failed: bool = False) -> None:
        """The body raised: try again what may be tried again (L18), else end it and tell the parent."""
        policy = self.policy(node)
        if retries(error, node.record.attempt, policy) and node.trace.attempts < self._engine.limits.max_attempts:
            self._retry_later(node, error, fault, policy)
            return
        if error.error_class is ErrorClass.TRANSIENT:
            error = self._no_more(node, error)
        self._remember_fault(node, fault)
        self._cancel_children(node, awaited_only=True)
        self._end(node, Status.FAILED_CHILD_WORKFLOW if child_failed else Status.FAILED, error)
        self._tell(node)

    def _no_more(self, node: Node, error: ErrorInfo) -> ErrorInfo:
        limit = self._engine.limits.max_attempts
        if node.trace.attempts >= limit and node.record.attempt < self.policy(node).attempts:
            message = f"The trace has used all its {limit} attempts; the last failure: {error.message}"
            return ErrorInfo(
                ErrorClass.DOMAIN,
                "attempts_exceeded",
                message,
                {"limit": limit, "last": error.code},
                node.id,
                node.record.attempt,
            )
        return exhausted(error, node.record.attempt)

    def policy(self, node: Node) -> Retry:
        """How its failures are tried again: as its caller said, else as its process does."""
        terms = terms_of(node.record)
        if "retry" in terms:
            return Retry(*terms["retry"])
        definition = self._engine.definition_of(node)
        return definition.retry if definition else Retry()

    def _retry_later(self, node: Node, error: ErrorInfo, fault: dict[str, Any] | None, policy: Retry) -> None:
        """Pause, then run again from the journal; the record that failed is set aside so that it runs anew."""
        engine, record = self._engine, node.record
        pause_ms = backoff_ms(record.attempt, policy, random())  # noqa: S311  # jitter
        _log.info("attempt %s of %s failed (%s); trying again in %s ms", record.attempt, record.id, error.code, pause_ms)
        if fault is not None and "positions" in fault:
            engine.set_aside(node, fault["positions"])
            engine.set_aside_left(node)
        engine.audit.retried(record, error)
        engine.stop_run(node)
        engine.traces.keep(node)  # as children leave memory and come back, they must find this very node
        if error.code == "lease_expired":
            self._cancel_children(node, awaited_only=True)
        self._reopen_children(node, ())  # children that run go on: the next attempt awaits them (L18)
        record.attempt += 1
        record.epoch += 1
        node.trace.attempts += 1
        record.wake_at = engine.clock.now() + pause_ms
        if error.code == "lease_expired":
            node.clock.restart(engine.clock.now())
            engine.leases.watch(node)
        engine.durability.touch(node)
        engine.waiting.park(node)
        engine.waiting.refresh(node)
        engine.timers.expect(record.wake_at)
        engine.traces.no_longer_keep(node)
        if boundaries.reach is not None:
            boundaries.reach("retry.scheduled")

    # -- endings from outside -----------------------------------------------------------------------------------------

    def abort(self, node: Node, error: ErrorInfo) -> None:
        """A SYSTEM error has reached the execution: it ends, and so does every ancestor along awaited edges (L20)."""
        current: Node | None = node
        while current is not None and not current.ended:
            below = current
            self._cancel_children(current, awaited_only=True)
            self._end(current, Status.FAILED_CHILD_WORKFLOW, error)
            current = below.parent if below.record.awaited else None
            if current is None or current.ended:
                self._tell(below)
            else:
                self._remember_fault(current, {"children": [below.id]})
                self._release(below)

    def expire(self, node: Node) -> None:
        """The TTL ran out: descendants are cancelled, the parent is answered (L22)."""
        record = node.record
        message = f"{record.process} ran longer than its TTL of {node.clock.ttl} ms"
        error = ErrorInfo(
            ErrorClass.DOMAIN, "lease_expired", message, {"ttl_ms": node.clock.ttl}, record.id, record.attempt
        )
        if (
            retries(error, record.attempt, self.policy(node))
            and node.trace.attempts < self._engine.limits.max_attempts
        ):
            self._retry_later(node, error, None, self.policy(node))
            return
        self.end_subtree(node, Status.TIMED_OUT, error)

    def cancel(self, execution_id: str, reason: str) -> bool:
        """Cancel an execution and everything below it that is not detached; False where it has ended already (L35)."""
        node = self._engine.traces.load(execution_id)
        if node is None or node.ended:
            return False
        error = ErrorInfo(
            ErrorClass.DOMAIN,
            "cancelled",
            f"{node.record.process} was cancelled: {reason}",
            {"reason": reason},
            node.id,
            node.record.attempt,
        )
        self.end_subtree(node, Status.CANCELLED, error)
        return True

    def end_subtree(self, node: Node, status: Status, error: ErrorInfo) -> None:
        """End an execution leaf-first, as one event; code is stopped afterwards."""
        self._cancel_children(node, awaited_only=False)
        self._end(node, status, error)
        self._tell(node)

    def _cancel_children(self, node: Node, *, awaited_only: bool) -> None:
        """Cancel what still runs below; with `awaited_only`, async children go on (L14)."""
        if node.open_children == 0 or (awaited_only and node.awaiting == 0):
            return
        doomed = self._doomed(node, awaited_only=awaited_only)
        for each in doomed:
            error = ErrorInfo(
                ErrorClass.DOMAIN,
                "cancelled",
                f"{each.record.process} was cancelled: its caller has ended",
                {"reason": "caller ended"},
                each.id,
                each.record.attempt,
            )
            self._end(each, Status.CANCELLED, error)
            self._release(each)

    def _doomed(self, node: Node, *, awaited_only: bool) -> list[Node]:
        """The open executions below that end with this one, deepest first; all are in memory before the first one ends."""
        engine = self._engine
        engine.durability.flush()
        ids = {record.id for record in engine.store.subtree(node.id, open_only=True)} | {
            each for each in engine.traces.nodes if each.startswith(node.id + ".")
        }
        ids.discard(node.id)
        below = [engine.traces.load(each) for each in sorted(ids, key=lambda each: each.count("."))]
        kept = {node.id}
        doomed = []
        for each in below:
            if each is None or each.ended or each.parent is None or each.parent.id not in kept or each.record.detached:
                continue
            if awaited_only and each.parent is node and not each.record.awaited:
                continue
            kept.add(each.id)
            doomed.append(each)
        return doomed[::-1]

    # -- the one way to end -------------------------------------------------------------------------------------------

    def _end(self, node: Node, status: Status, error: ErrorInfo | None) -> None:
        engine, record = self._engine, node.record
        assert may(record.status, status) or record.status is Status.PENDING, (record.status, status)
        now = engine.clock.now()
        engine.metering.abandon(node)
        run = node.run
        engine.stop_run(node)
        node.clock.stop(now)
        record.status = status
        record.ended_at = record.updated_at = now
        record.error = None
        if error is not None:
            record.error = encode_error(error)
            engine.sagas.ended(node, run)
        record.wake_at = None
        record.epoch += 1
        if node.has_reserved:
            node.account.settle()
            engine.touch_lenders(node)
        for folio in node.folios:
            folio.account.settle()
        if node.subtree != (record.tokens, record.input_tokens, record.output_tokens, record.cost):
            note(record, {"subtree": node.subtree})
        engine.durability.touch(node)
        if error is not None or record.parent_n == 0:
            engine.audit.ended(record, error)
        if engine.routing.watched and record.process in engine.routing.watched:
            engine.routing.ended(record, error)
        engine.waiting.ended(node)
        if boundaries.reach is not None:
            boundaries.reach("ending.decided")

    def _remember_fault(self, node: Node, fault: dict[str, Any] | None) -> None:
        if fault is not None:
            note(node.record, {"fault": fault})

    def _tell(self, node: Node) -> None:
        """The parent gets the outcome, outside waiters too; an async failure raises an alert (L14)."""
        engine, record, parent = self._engine, node.record, node.parent
        if parent is not None and not parent.ended:
            system = record.error is not None and b'"class":"SYSTEM"' in record.error
            if system and record.awaited:
                self._remember_fault(parent, {"children": [record.id]})
                self.abort(parent, self._error_of(node))
            else:
                engine.child_ended(parent, node)
        if record.status is not Status.COMPLETED and (not record.awaited or parent is None):
            self._alert(node)
        self._release(node)

    def _error_of(self, node: Node) -> ErrorInfo:
        return decode_error(node.record.error or b"{}")

    def _alert(self, node: Node) -> None:
        error = self._error_of(node)
        record = node.record
        details = {"status": record.status, "origin": error.origin, "process": record.process}
        self._engine.alert(node, error.code, error.message, details)

    def _release(self, node: Node) -> None:
        """Outside waiters learn of the end once it is durable; the node leaves memory."""
        self._engine.outcomes.announce(node)
        self._engine.traces.let_go(node)

    # -- the operator's retry -----------------------------------------------------------------------------------------

    def reopen(self, node: Node) -> None:
        """Attempt n+1 of the chain that failed: its completed work stays, the failed child runs again under its id (L34).

        What was rolled back has no completed work left: it runs in full, in its next generation.
        """
        self._reopen_one(self.chain(node))

    def chain(self, node: Node) -> Node:
        """The top of the chain that failed unhandled with this execution.

        Raises MisuseError `wrong_state` where a parent has the outcome already: its history is built on it.
        """
        top = node
        while top.parent is not None and top.record.awaited:
            above = top.parent
            fault = terms_of(above.record).get("fault") or {}
            failed = above.ended and above.record.status is not Status.COMPLETED
            if not failed or (top.record.answered is not None and top.id not in fault.get("children", ())):
                mend = (
                    f"retry {above.id} from the step {top.record.process!r}" if failed else "start the work afresh"
                )
                raise MisuseError(
                    f"{above.id} ({above.record.status}) has handled how {top.id} ended: {mend}",
                    code="wrong_state",
                    execution_id=above.id,
                )
            top = above
        return top

    def _reopen_one(self, node: Node) -> None:
        engine, record = self._engine, node.record
        fault = terms_of(record).get("fault") or {}
        afresh = engine.sagas.start_over(node)
        note(record, {"fault": None, "subtree": None, "unreached": None})
        if not afresh:
            engine.set_aside(node, fault.get("positions", ()))
            engine.set_aside_rejections(node)
            engine.set_aside_left(node)
        record.status = Status.PENDING
        record.attempt += 1
        record.epoch += 1
        record.error = record.ended_at = record.answered = record.wake_at = None
        node.trace.attempts += 1
        node.clock.used, node.clock.since = 0, None
        node.ticking = node.human = False
        node.parked = True
        node.account.tokens.settled = node.account.cost.settled = False
        engine.durability.touch(node)
        if node.parent is not None:
            node.parent.open_children += 1
            node.parent.awaiting += record.awaited
        if not afresh:
            self._reopen_children(node, fault.get("children", ()))
        engine.begin(node, engine.definition_of(node))

    def _reopen_children(self, node: Node, at_fault: Collection[str]) -> None:
        """The children that failed unhandled, and those that were cancelled before their outcome was heard."""
        engine, since = self._engine, history_begins(node.record)
        engine.durability.flush()
        for child in engine.store.children(node.record.n):
            collateral = child.awaited and child.answered is None and child.status is Status.CANCELLED
            set_aside = child.key is None or child.position < since
            if (
                not set_aside
                and child.ended_at is not None
                and child.status is not Status.COMPLETED
                and (child.id in at_fault or collateral)
            ):
                below = engine.traces.load(child.id)
                assert below is not None
                if engine.sagas.call_off(below):
                    self._reopen_one(below)
                else:  # it is being undone: its caller calls anew, once that is over
                    engine.durability.unclaim(below)
