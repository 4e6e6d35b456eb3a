"""Through code: what a process body writes to do more than it may."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from remit import (
    Budget,
    Limits,
    Retry,
    TransientError,
    Usage,
    call_process,
    charge,
    continue_as,
    process,
    start_process,
    step,
    tool,
)
from tests.attempts.attempt import Place, attempt, code_of, refusal
from tests.laws.scene import wait_until

ran: list[str] = []


@process("vault")
async def vault(_: int) -> str:
    ran.append("vault")
    return "opened"


@attempt("code", "undeclared_call", "rejected")
async def a_call_of_what_was_not_declared(place: Place) -> str:
    """Call a process that `calls=` does not list."""

    @process("thief", calls=["other@^1"])
    async def thief(_: int) -> str:
        return code_of(await call_process("vault", 1))

    async with place.app(thief, vault) as app:
        return str((await (await app.start(thief, 1)).outcome(5)).unwrap())


@attempt("code", "undeclared_call", "rejected")
async def an_async_start_of_what_was_not_declared(place: Place) -> str:
    """Start what was not declared without waiting for it, detached."""

    @process("thief")
    async def thief(_: int) -> str:
        return await refusal(start_process("vault", 1, detached=True))

    async with place.app(thief, vault) as app:
        return str((await (await app.start(thief, 1)).outcome(5)).unwrap())


@attempt("code", "cycle_detected", "rejected")
async def a_process_that_calls_its_caller(place: Place) -> str:
    """Call the caller back: A → B → A."""

    @process("a", calls=["b@*"])
    async def a(n: int) -> str:
        return (await call_process("b", n)).unwrap()

    @process("b", calls=["a@*"])
    async def b(n: int) -> str:
        return code_of(await call_process("a", n))

    async with place.app(a, b) as app:
        return str((await (await app.start(a, 1)).outcome(5)).unwrap())


@attempt("code", "cycle_detected", "rejected")
async def a_recursion_beyond_the_operators(place: Place) -> str:
    """Declare recursion=100 where the operator allows none."""

    @process("deep", calls=["deep@*"], recursion=100)
    async def deep(n: int) -> str:
        return code_of(await call_process("deep", n + 1))

    async with place.app(deep) as app:
        return str((await (await app.start(deep, 1)).outcome(5)).unwrap())


def _tower(last: Any) -> list[Any]:
    """Processes t0 → t1 → … → t5, the last of which does something else."""

    def floor(number: int) -> Any:
        @process(f"t{number}", calls=[f"t{number + 1}@*"])
        async def body(n: int) -> str:
            return str((await call_process(f"t{number + 1}", n)).unwrap())

        return body

    return [*map(floor, range(5)), last]


@attempt("code", "depth_exceeded", "rejected")
async def a_seventh_storey(place: Place) -> str:
    """Nest a call below the fifth level."""

    @process("t5", calls=["vault@*"])
    async def t5(n: int) -> str:
        return code_of(await call_process("vault", n))

    async with place.app(*_tower(t5), vault) as app:
        return str((await (await app.start("t0", 1)).outcome(5)).unwrap())


@attempt("code", "depth_exceeded", "rejected")
async def a_seventh_storey_that_nobody_waits_for(place: Place) -> str:
    """Nest below the fifth level as an async, detached child, which might count for itself."""

    @process("t5", calls=["vault@*"])
    async def t5(n: int) -> str:
        return await refusal(start_process("vault", n, detached=True))

    async with place.app(*_tower(t5), vault) as app:
        return str((await (await app.start("t0", 1)).outcome(5)).unwrap())


@attempt("code", "fanout_exceeded", "rejected")
async def more_children_than_a_trace_may_have(place: Place) -> str:
    """Start children until nothing is left of the machine."""

    @process("bomb", calls=["vault@*"])
    async def bomb(n: int) -> str:
        outcomes = await asyncio.gather(*(call_process("vault", each) for each in range(n)))
        return {code_of(each) for each in outcomes if not each.ok}.pop()

    async with place.app(bomb, vault, limits=Limits(max_descendants=20)) as app:
        root = await app.start(bomb, 30)
        told = (await root.outcome(5)).unwrap()
        assert len(await app.list(root=root.id)) == 21
        return str(told)


@attempt("code", "effect_inside_step", "failed")
async def a_call_from_inside_a_step(place: Place) -> str:
    """Call from a step, whose work nobody checks."""

    @step
    async def sly(n: int) -> str:
        return str((await call_process("vault", n)).unwrap())

    @process("thief", calls=["vault@*"])
    async def thief(n: int) -> str:
        return await sly(n)

    async with place.app(thief, vault) as app:
        return code_of(await (await app.start(thief, 1)).outcome(5))


@attempt("code", "outside_execution", "failed")
async def a_call_from_a_thread_of_its_own(place: Place) -> str:
    """Call from a loop in another thread, beside the engine's, with the body's context or without."""

    def apart() -> str:
        return str(asyncio.run(call_process("vault", 1)))

    def handed_over(made: Coroutine[Any, Any, Any]) -> str:
        return str(asyncio.run(made))

    @process("thief", calls=["vault@*"])
    async def thief(how: str) -> str:
        if how == "bare":
            return await asyncio.get_running_loop().run_in_executor(None, apart)
        if how == "in its context":
            return await asyncio.to_thread(apart)
        return await asyncio.to_thread(handed_over, call_process("vault", 1))

    codes = set()
    async with place.app(thief, vault) as app:
        for how in ("bare", "in its context", "made before"):
            root = await app.start(thief, how)
            codes.add(code_of(await root.outcome(5)))
            assert not (await app.tree(root.id)).children
    return codes.pop() if len(codes) == 1 else str(codes)


@attempt("code", "contract_violation", "aborted")
async def a_body_that_swallows_what_must_end_it(place: Place) -> str:
    """Catch BaseException around a call whose failure ends the whole chain."""
    went_on: list[str] = []

    @process("broken")
    async def broken(_: int) -> int:
        return "no number"  # type: ignore[return-value]

    @process("stubborn", calls=["broken@*"])
    async def stubborn(n: int) -> str:
        try:
            await call_process("broken", n)
        except BaseException:
            went_on.append("caught it")
            raise
        went_on.append("never heard of it")
        return "done"

    async with place.app(stubborn, broken) as app:
        outcome = await (await app.start(stubborn, 1)).outcome(5)
        assert "never heard of it" not in went_on
        return code_of(outcome)


@attempt("code", "lease_expired", "expired")
async def a_body_that_will_not_be_cancelled(place: Place) -> str:
    """Swallow every cancellation and go on past the TTL."""

    @process("immortal", ttl=0.3)
    async def immortal(_: int) -> str:
        for _ in range(20):
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                continue
        return "outlived it"

    async with place.app(immortal) as app:
        root = await app.start(immortal, 1)
        told = code_of(await root.outcome(5))
        await asyncio.sleep(0.5)
        assert (await app.get(root.id)).status == "TIMED_OUT"
        return told


@attempt("code", "", "completed")
async def a_branch_that_outlives_its_body(place: Place) -> str:
    """Leave a task behind that calls once the execution has ended and nobody counts any more."""
    left: list[asyncio.Task[Any]] = []
    heard: list[str] = []
    ran.clear()

    @process("leaves", calls=["vault@*"])
    async def leaves(_: int) -> str:
        async def later() -> None:
            await asyncio.sleep(0.2)
            heard.append(str(await call_process("vault", 1)))

        left.append(asyncio.create_task(later()))
        return "gone"

    async with place.app(leaves, vault) as app:
        assert (await (await app.start(leaves, 1)).outcome(5)).ok
        await asyncio.sleep(0.4)
        assert (ran, heard) == ([], [])
        assert left[0].cancelled() or not left[0].done()
        left[0].cancel()
    return ""


@attempt("code", "budget_exceeded", "rejected")
async def a_call_when_nothing_is_left(place: Place) -> str:
    """Spend all, and call on with an estimate of nothing."""

    @process("spender", calls=["vault@*"])
    async def spender(n: int) -> str:
        await charge(Usage(tokens=100))
        return code_of(await call_process("vault", n, estimate=0))

    async with place.app(spender, vault) as app:
        return str((await (await app.start(spender, 1, budget=Budget(tokens=100))).outcome(5)).unwrap())


@attempt("code", "budget_exceeded", "rejected")
async def a_call_that_brings_its_own_budget(place: Place) -> str:
    """Hand the child a budget that is larger than the root's."""

    @process("generous", calls=["vault@*"])
    async def generous(n: int) -> str:
        return code_of(await call_process("vault", n, estimate=5_000, budget=Budget(tokens=1_000_000)))

    async with place.app(generous, vault) as app:
        return str((await (await app.start(generous, 1, budget=Budget(tokens=100))).outcome(5)).unwrap())


@attempt("code", "budget_exhausted", "tool.refused")
async def a_tool_that_costs_more_than_is_left(place: Place) -> str:
    """Make the dear call in a tool, where no call is checked."""
    ran.clear()

    @tool("dear", cost="2.00")
    async def dear(_: int) -> str:
        ran.append("dear")
        return "had it"

    @process("spender")
    async def spender(n: int) -> str:
        return await dear(n)

    async with place.app(spender) as app:
        told = code_of(await (await app.start(spender, 1, budget=Budget(cost="1.00"))).outcome(5))
        assert ran == []
        return told


@attempt("code", "usage_rejected", "tool.returned")
async def a_tool_that_gives_money_back(place: Place) -> str:
    """Report negative usage, so that the ledger has more than it had."""

    @tool("refund", cost="0.10")
    async def refund(_: int) -> tuple[str, Usage]:
        return "thanks", Usage(cost="-50.00")

    @process("spender")
    async def spender(n: int) -> str:
        return (await refund(n))[0]

    async with place.app(spender) as app:
        root = await app.start(spender, 1, budget=Budget(cost="1.00"))
        await root.outcome(5)
        assert (await app.get(root.id)).usage.own.cost == "0.10"
        return next(each.code for each in await app.alerts())


@attempt("code", "budget_exceeded", "rejected")
async def a_fresh_history_to_start_the_ledger_afresh(place: Place) -> str:
    """Begin again with continue_as, and hope that the budget does."""

    @process("again", calls=["vault@*"])
    async def again(n: int) -> str:
        await charge(Usage(tokens=50))
        if n:
            await continue_as(n - 1)
        return code_of(await call_process("vault", n))

    async with place.app(again, vault) as app:
        return str((await (await app.start(again, 1, budget=Budget(tokens=100))).outcome(5)).unwrap())


@attempt("code", "retries_exhausted", "failed")
async def an_error_that_asks_for_endless_attempts(place: Place) -> str:
    """Fail TRANSIENT for ever, on every level, so that attempts multiply."""
    ran.clear()

    @process("leaf", retry=Retry(attempts=3, first=0.001))
    async def leaf(_: int) -> str:
        ran.append("leaf")
        raise TransientError("busy")

    @process("parent", calls=["leaf@*"], retry=Retry(attempts=3, first=0.001))
    async def parent(n: int) -> str:
        return str((await call_process("leaf", n)).unwrap())

    async with place.app(parent, leaf) as app:
        told = code_of(await (await app.start(parent, 1)).outcome(5))
        assert len(ran) == 3
        return told


@attempt("code", "lease_expired", "expired")
async def a_child_with_a_longer_life_than_its_parent(place: Place) -> str:
    """Ask for a TTL of a day for the child of a parent that has a second."""

    @process("sleeper")
    async def sleeper(_: int) -> str:
        await asyncio.sleep(30)
        return "slept"

    @process("parent", calls=["sleeper@*"], ttl=0.4)
    async def parent(n: int) -> str:
        return str((await call_process("sleeper", n, ttl="1d")).unwrap())

    async with place.app(parent, sleeper) as app:
        root = await app.start(parent, 1)
        told = code_of(await root.outcome(5))
        assert {each.status for each in await app.list(root=root.id)} <= {"TIMED_OUT", "CANCELLED"}
        return told


@attempt("code", "cancelled", "cancelled")
async def a_cancelled_body_that_completes_after_all(place: Place) -> str:
    """Return a result after the execution was cancelled."""

    @process("late")
    async def late(_: int) -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "a result after all"
        return "slept"

    async with place.app(late) as app:
        root = await app.start(late, 1)
        await wait_until(app, root.id, "ACTIVE")
        await app.cancel(root.id)
        told = code_of(await root.outcome(5))
        await asyncio.sleep(0.05)
        assert (await root.record()).result is None
        return told
