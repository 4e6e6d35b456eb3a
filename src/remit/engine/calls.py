"""The governed call: placed once, checked, admitted or rejected, joined by whoever awaits it (L7-L14)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from remit.engine.admission import Admitted
from remit.engine.answer import Answer, outcome_status
from remit.engine.body.history import CallIdentity, Recorded, effect_of
from remit.engine.definitions import Definition
from remit.engine.ending.faults import decode_error, encode_error
from remit.engine.governing.judgement import Judged, judge_call
from remit.engine.looks import is_looked_through, leave_wait, look_through, looked_through_before
from remit.engine.node import Node
from remit.engine.request import CallRequest
from remit.engine.values.seam import SeamError, canonical, digest
from remit.errors import ErrorClass, ErrorInfo, LimitExceeded, MisuseError
from remit.kernel.preflight import CallFacts, Rejection, preflight
from remit.kernel.states import Status
from remit.kernel.usage import NOTHING, Amount, Usage
from remit.store.records import UNHEARD, EffectKind, ExecutionRecord, JournalRecord

if TYPE_CHECKING:
    from remit.engine.body.run import Run
    from remit.engine.values.seam import Seam

__all__ = ["Call", "answer_of", "await_child", "call", "encoded", "own_child", "start"]

_GIVEN_UP = "its caller stopped waiting for it"


class Call:
    """One admitted call as its caller sees it; a `Completion`."""

    __slots__ = ("_run", "answer", "given", "given_up", "hearing", "node", "record", "result", "told", "waiters")

    def __init__(self, run: Run, record: ExecutionRecord, result: Seam[Any] | None, node: Node | None = None) -> None:
        self._run = run
        self.record = record
        self.result = result
        self.node = node
        self.answer: Answer | None = None
        self.given = False
        self.given_up = False
        self.told = False
        """Whether those who wait have heard of its end before, in what is being replayed."""
        self.hearing = 0
        """How many of those whom it let go on have not given up meanwhile."""
        self.waiters: list[asyncio.Future[None]] = []

    def renew(self) -> None:
        """See the child as it is now: it may have left memory since, and have come back as another object."""
        record = self._run.engine.current_record(self.record) if self.record.ended_at is None else self.record
        if record is not self.record:
            self.record, self.node = record, self._run.engine.traces.nodes.get(record.id)

    def place(self, order: int) -> None:
        """Record when the caller got the outcome, among its other completions."""
        self.record.answered = order
        if order != UNHEARD:
            self._run.history.bytes += len(self.record.result or b"")
            routing = self._run.engine.routing
            if routing.watched and self.record.process in routing.watched:
                routing.told(self.record, self.result)
        self._run.engine.durability.touch(self.node or Node(self.record, self._run.node))

    def resolve(self) -> None:
        """Decode the outcome for the caller and let those go on who await it."""
        self.answer = answer_of(self.record, self.result)
        if self.answer.status != "completed" and self.waiters:  # whom nobody awaits any more has failed nobody (L19)
            self._run.unseen.append(self.answer)
            if self.answer.error is not None:
                self._run.failed_lately.append((self.record.id, self.answer.error.error_class))
        self.hearing = len(self.waiters)
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()
        self.node = None


def answer_of(record: ExecutionRecord, result: Seam[Any] | None) -> Answer:
    """The outcome an ended execution's record holds."""
    own = record.own()
    terms = orjson.loads(record.terms) if record.terms else {}
    subtree = Usage.of(*terms["subtree"]) if "subtree" in terms else own
    error = decode_error(record.error) if record.error is not None else None
    status = outcome_status(record.status)
    value = None
    if status == "completed" and record.result is not None:
        try:
            value = result.decode(record.result) if result is not None else orjson.loads(record.result)
        except SeamError as unfit:
            message = f"{record.process} {record.version} gave what its caller does not expect: {unfit}"
            details = {"path": unfit.path}
            error = ErrorInfo(ErrorClass.SYSTEM, "contract_violation", message, details, record.id, record.attempt)
            status = "failed"
    return Answer(status, value, error, record.id, own, subtree)


async def call(run: Run, request: CallRequest) -> Answer:
    """Call another process and wait for its end; a SYSTEM error ends the chain instead of returning (L20)."""
    placed = await _place(run, request, awaited=True)
    del request
    return await _returned(run, placed if isinstance(placed, Answer) else await _join(run, placed))


async def start(run: Run, request: CallRequest) -> str | Answer:
    """Start another process without waiting: its id, or the rejection (L14)."""
    placed = await _place(run, request, awaited=False)
    if isinstance(placed, Answer):
        return await _returned(run, placed)
    run.started[placed.record.id] = placed
    return placed.record.id


async def await_child(run: Run, child_id: str, result: Seam[Any] | None) -> Answer:
    """Wait for a child started earlier; from now on the edge counts as awaited (L14, L33)."""
    if not run.may_act():
        await run.never()
    placed = own_child(run, child_id)
    placed.result = placed.result or result
    params = canonical(child_id, "a child")
    key = run.history.effect_key(EffectKind.WAIT, placed.record.process, digest(params))
    if run.history.recorded and run.claim(key) is not None:
        await run.given_up()
    placed.renew()
    if placed.answer is None and placed.record.ended_at is None and run.valid:
        run.engine.now_awaited(placed.record.id)
    began = run.engine.clock.now()
    try:
        answer = await _join(run, placed)
    except asyncio.CancelledError:
        if run.valid:  # the child goes on, and may be awaited again (L14)
            leave_wait(run, placed.record.process, key, params, began)
        raise
    return await _returned(run, answer)


def own_child(run: Run, child_id: str) -> Call:
    """A child that this execution has started; any other id, whosever it is, answers as an unknown one (L44)."""
    placed = run.started.get(child_id)
    if placed is None:
        raise MisuseError(
            f"{child_id!r} is no child this execution has started", code="unknown_execution", execution_id=child_id
        )
    return placed


async def _returned(run: Run, answer: Answer) -> Answer:
    if answer.aborts and answer.error is not None:
        run.engine.endings.abort(run.node, answer.error)
        await run.never()
    return answer


async def _place(run: Run, request: CallRequest, *, awaited: bool) -> Call | Answer:
    """Find the recorded call, or check and admit it; a rejection is recorded and answered (L7, L8)."""
    if not run.may_act():
        await run.never()
    engine, history = run.engine, run.history
    found = engine.catalog.resolve(run.definition, request.target, request.versions, run.node.id)
    definition = found if isinstance(found, Definition) else None
    payload, fault = encoded(definition, request)
    if not isinstance(found, Definition):
        fault = found
    identity = history.identify(request.target, digest(payload), request.key)
    # A key that was refused may be used again: the refusals of a key are told apart by input and count, and come first.
    named = request.key is not None
    refusals = history.effect_key(EffectKind.REJECTED, request.target, identity.key + identity.digest) if named else None
    recorded = await _claimed(run, request, definition, identity, refusals, payload) if history.recorded else None
    if recorded is None and definition is not None and fault is None and is_looked_through(run, definition, payload):
        await look_through(run, definition, identity, payload)
    if isinstance(recorded, JournalRecord):
        return _rejected(run, decode_error(recorded.error or b"{}"))
    known = run.calls.get(identity.key) if run.calls else None
    if recorded is not None:
        made_by = engine.catalog.to_continue(recorded.process, recorded.version) or definition
        result = request.result or (made_by.result if made_by else None)
        known = Call(run, engine.current_record(recorded), result)
        run.calls[identity.key] = known
    # What no longer counts refuses nothing either: a conflict that is not recorded was never told.
    if known is not None and (_same(known.record, request.target, definition, identity.digest) or not run.valid):
        return known
    judged = None
    if engine.governance is not None:
        judged, payload = _judged(run, request, definition, fault, payload)
    facts = _facts(run, request, definition, fault, identity.digest, known, judged)
    rejection = preflight(facts)
    if rejection is not None or definition is None:
        assert rejection is not None
        return _reject(run, request, rejection, refusals or identity.key, payload)
    admitted = Admitted(definition, request, facts.estimate, payload, identity, judged, facts.folios)
    child = engine.admission.child(run.node, admitted, history.admit(len(payload)), awaited=awaited)
    placed = Call(run, child.record, request.result or definition.result, child)
    if named:
        run.calls[identity.key] = placed
    return placed


async def _claimed(
    run: Run,
    request: CallRequest,
    definition: Definition | None,
    identity: CallIdentity,
    refusals: bytes | None,
    payload: bytes,
) -> Recorded | None:
    """What was recorded of this call; None where it is a new one, and may be made now (L11)."""
    await looked_through_before(run, identity)
    key = identity.key
    recorded = run.claim(refusals or key) or run.claim(key)
    if recorded is None and definition is not None and request.target in run.history.unclaimed_targets:
        recorded = _recorded_by_another_version(run, definition, digest(payload))
    if recorded is None and run.history.recorded and key not in run.calls:
        await run.go_live(request.target, effect_of("call", request.target, payload))
    return recorded


def _same(record: ExecutionRecord, target: str, definition: Definition | None, input_digest: bytes) -> bool:
    """Whether that record is of this very call, were it made while another version was the one to pick (L10, L40)."""
    if record.process != target or record.digest == input_digest:
        return record.process == target
    return (
        definition is not None and record.version != definition.version and _taken(record, definition) == input_digest
    )


def _taken(record: ExecutionRecord, definition: Definition) -> bytes | None:
    """The digest of a recorded input as that version takes it; None where it does not."""
    try:
        return digest(definition.input.encode(definition.input.decode(record.input)))
    except SeamError:
        return None


def _recorded_by_another_version(run: Run, definition: Definition, input_digest: bytes) -> Recorded | None:
    """The next unclaimed record of this call, made while another version was the one to pick (L40).

    The inputs of a target's records are read once for all of its calls, so that replay stays linear.
    """
    history, name = run.history, definition.name
    if name not in history.taken_otherwise:
        otherwise = history.taken_otherwise[name] = {}
        for key, record in reversed(history.recorded.items()):
            if isinstance(record, ExecutionRecord) and record.process == name and record.version != definition.version:
                otherwise.setdefault(_taken(record, definition), []).append(key)
    keys = history.taken_otherwise[name].get(input_digest, [])
    while keys:
        claimed = run.claim(keys.pop())
        if claimed is not None:
            return claimed
    return None


def encoded(definition: Definition | None, request: CallRequest) -> tuple[bytes, ErrorInfo | None]:
    """The input as canonical JSON, and what is wrong with it."""
    try:
        if definition is not None:
            return definition.input.accept(request.input), None
        return canonical(request.input, f"the input of {request.target!r}"), None
    except LimitExceeded as error:
        return b"null", error.info()
    except SeamError as error:
        return _best_effort(request), ErrorInfo(
            ErrorClass.DOMAIN, "invalid_input", str(error), {"path": error.path, "target": request.target}
        )


def _best_effort(request: CallRequest) -> bytes:
    """Something that tells one wrong input from another, for the identity of the rejected call."""
    try:
        return canonical(request.input, "the input")
    except (SeamError, LimitExceeded):
        return repr(type(request.input)).encode()


def _facts(
    run: Run,
    request: CallRequest,
    definition: Definition | None,
    fault: ErrorInfo | None,
    input_digest: bytes,
    known: Call | None,
    judged: Judged | None,
) -> CallFacts:
    engine, node, estimate = run.engine, run.node, _estimate(request, definition)
    facts = CallFacts(
        request.target,
        run.standing,
        definition.recursion if definition is not None else 0,
        node.trace.descendants,
        estimate,
        engine.limits,
        fault,
        input_digest,
    )
    if known is not None:
        facts.known_digest, facts.known_target = known.record.digest, known.record.process
    if engine.books is not None:
        department = definition.department if definition is not None else None
        facts.folios = engine.books.wanted(node, department, node.record.tenant, estimate, engine.clock.now())
    if judged is not None:
        facts.denial = judged.denial
        facts.limits, facts.narrowed_by = judged.limits(facts.limits)
    return facts


def _judged(
    run: Run, request: CallRequest, definition: Definition | None, fault: ErrorInfo | None, payload: bytes
) -> tuple[Judged | None, bytes]:
    """What policies say of a call, and its input as they let it pass; nothing of one that is wrong before they are asked."""
    governance = run.engine.governance
    if governance is None or definition is None or fault is not None:
        return None, payload
    judged = judge_call(governance, governance.called(run.node, definition), payload)
    judged.narrow(request)
    return judged, judged.payload


def _estimate(request: CallRequest, definition: Definition | None) -> Amount:
    """The call's estimate, else the callee's; a cap the call sets narrows it: more cannot be used below (L24, L25)."""
    wanted = request.estimate if request.estimate is not None else definition.estimate if definition else NOTHING
    return wanted.within(request.limit_tokens, request.limit_cost)


def _reject(run: Run, request: CallRequest, rejection: Rejection, key: bytes, payload: bytes) -> Answer:
    """Record the rejection under the call's identity and raise an alert; nothing was created or reserved (L7)."""
    engine, record = run.engine, run.node.record
    error = rejection.error(record.id, run.node.path)
    now = engine.clock.now()
    encoded = encode_error(error)
    position = run.history.admit(len(encoded))
    engine.durability.enter(
        JournalRecord(
            record.n,
            record.generation,
            position,
            EffectKind.REJECTED,
            request.target,
            key,
            payload,
            None,
            encoded,
            now,
            now,
            attempt=record.attempt,
        )
    )
    engine.audit.rejected(record, request.target, payload, error)
    engine.alert(run.node, error.code, error.message, {**error.details, "target": request.target}, request.target)
    return _rejected(run, error)


def _rejected(run: Run, error: ErrorInfo) -> Answer:
    answer = Answer("rejected", None, error, None, Usage(), Usage())
    run.unseen.append(answer)
    return answer


async def _join(run: Run, placed: Call) -> Answer:
    """Wait for the call's end with all who wait for it; once the last of them has gone, a child that was called is cancelled."""
    if placed.answer is None:
        if not placed.given_up and _was_given_up(placed.record):
            placed.given_up = True
            await run.given_up()
        fresh = placed.node is not None
        waiter: asyncio.Future[None] = run.loop.create_future()
        placed.waiters.append(waiter)
        if len(placed.waiters) == 1:
            _expect(run, placed)
        if not waiter.done():
            try:
                await run.wait(waiter, fresh=fresh, told=placed.told)
            except asyncio.CancelledError:
                _given_up(run, placed, waiter)
                raise
    assert placed.answer is not None
    if placed.given and placed.answer.status == "completed":
        return answer_of(placed.record, placed.result)  # a value of its own: even those who share a call share nothing
    placed.given = True
    return placed.answer


def _was_given_up(record: ExecutionRecord) -> bool:
    """Whether the child ended because nobody waited for it any more, or in the very turn in which nobody did."""
    if record.answered == UNHEARD:
        return True
    if record.status is not Status.CANCELLED or record.error is None:
        return False
    return decode_error(record.error).details.get("reason") == _GIVEN_UP


def _expect(run: Run, placed: Call) -> None:
    record = placed.record
    if record.ended_at is None:
        run.children[record.n] = placed
    elif record.answered is None:
        run.delivery.complete(placed)
    elif record.answered == UNHEARD or run.delivery.replay(record.answered, placed):
        placed.resolve()
    else:
        placed.told = True


def _given_up(run: Run, placed: Call, waiter: asyncio.Future[None]) -> None:
    if waiter in placed.waiters:
        placed.waiters.remove(waiter)
    if not run.valid or placed.waiters:
        return
    if placed.record.ended_at is not None:
        _unheard(run, placed)
        return
    run.children.pop(placed.record.n, None)  # its end is told to nobody, and so an operator's retry runs it again (L34)
    if placed.record.id in run.started:
        run.engine.no_longer_awaited(placed.record.id)
    else:
        placed.given_up = True
        run.engine.endings.cancel(placed.record.id, _GIVEN_UP)


def _unheard(run: Run, placed: Call) -> None:
    """The end came in the very turn in which the last who waited gave up: a started child's may be waited for again, a call is over."""
    if placed.answer is not None:
        placed.hearing -= 1
        if placed.hearing or placed.given:
            return
        run.unseen[:] = [each for each in run.unseen if each is not placed.answer]
        run.failed_lately[:] = [each for each in run.failed_lately if each[0] != placed.record.id]
    if placed.record.id in run.started:
        run.delivery.withdraw(placed)
        placed.answer = placed.record.answered = None
        run.engine.durability.touch(placed.node or Node(placed.record, run.node))
    else:
        placed.given_up = True
        run.unheard(placed)
