"""What an execution shows while something below it runs or waits, on every ancestor, in memory or not (L32, L33)."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from remit import (
    Budget,
    Limits,
    MisuseError,
    Remit,
    Retry,
    Status,
    Usage,
    ask,
    call_process,
    model,
    process,
    start_process,
    step,
)
from remit.durable import sleep, wait_event
from remit.kernel.states import PROPAGATION, TRANSITIONS, Compensation, may, shown
from tests.laws.scene import every, open_store, status, until, wait_until, working

gate = threading.Event()


@pytest.fixture(autouse=True)
def _closed_gate() -> None:
    gate.clear()


@model("thirsty-model", max_input_tokens=60, max_tokens=40)
async def thirsty(_: int) -> tuple[int, Usage]:
    return 1, Usage(tokens=1)


@step
async def until_open() -> None:
    async def opened() -> bool:
        return gate.is_set()

    await until(opened)


@step
async def flaky(_: int) -> int:
    raise ConnectionError("down")


@process("leaf", retry=Retry(attempts=2, first="1h", longest="1h"))
async def leaf(what: str) -> str:
    if what == "runs":
        await until_open()
    elif what == "asks":
        return await ask(str, name="word", to="role:clerk")
    elif what == "sleeps":
        await sleep("1h")
    elif what == "listens":
        await wait_event("word")
    elif what == "backs off":
        await flaky(1)
    elif what == "is exhausted":
        await thirsty(1)
    elif what == "fails":
        raise ValueError(what)
    elif what == "hangs":
        await asyncio.get_running_loop().create_future()
    return what


@process("low", calls=[leaf])
async def low(what: str) -> str:
    return (await call_process(leaf, what, ttl=0.2 if what == "hangs" else None)).unwrap()


@process("high", calls=[low])
async def high(what: str) -> str:
    return (await call_process(low, what)).unwrap()


@process("top", calls=[high])
async def top(what: str) -> str:
    return (await call_process(high, what)).unwrap()


CHAIN = [top, high, low, leaf]
LEAF = ".1.1.1"
SUB, HUMAN = "PENDING_SUB_WORKFLOW", "WAITING_CHILD_HUMAN_INPUT"


async def shows(app: Remit, root: str, *expected: str) -> None:
    """Wait until root, its child, grandchild and leaf show these statuses."""

    async def seen() -> bool:
        found = await every(app, root)
        return [str(found[each].status) for each in ("", ".1", ".1.1", LEAF) if each in found] == list(expected)

    await until(seen)


@pytest.mark.parametrize(
    ("what", "at_leaf", "above"),
    [
        ("runs", "ACTIVE", SUB),
        ("asks", "WAITING_HUMAN_INPUT", HUMAN),
        ("sleeps", "PENDING_ASYNC", SUB),
        ("listens", "PENDING_ASYNC", SUB),
        ("backs off", "PENDING_ASYNC", SUB),
        ("is exhausted", "PAUSED", SUB),
        ("fails", "FAILED", "FAILED_CHILD_WORKFLOW"),
        ("hangs", "TIMED_OUT", "FAILED_CHILD_WORKFLOW"),
        ("completes", "COMPLETED", "COMPLETED"),
    ],
)
async def test_L33_every_row_of_the_propagation_table_shows_on_every_ancestor(what, at_leaf, above) -> None:
    async with Remit(":memory:", processes=CHAIN) as app:
        execution = await app.start(top, what, budget=Budget(tokens=50, on_exhausted="suspend"))
        await shows(app, execution.id, above, above, above, at_leaf)


async def test_L33_a_cancelled_child_fails_the_ancestors_that_do_not_handle_it() -> None:
    async with Remit(":memory:", processes=CHAIN) as app:
        execution = await app.start(top, "asks")
        await shows(app, execution.id, HUMAN, HUMAN, HUMAN, "WAITING_HUMAN_INPUT")
        await app.cancel(execution.id + LEAF)
        failed = "FAILED_CHILD_WORKFLOW"
        await shows(app, execution.id, failed, failed, failed, "CANCELLED")


def test_L33_the_table_has_a_row_for_every_status() -> None:
    assert set(PROPAGATION) == set(Status)


def test_L32_terminal_states_change_only_by_an_operators_retry_and_completed_never() -> None:
    ended = {Status.COMPLETED, Status.FAILED, Status.FAILED_CHILD_WORKFLOW, Status.TIMED_OUT, Status.CANCELLED}
    assert {t.cause for t in TRANSITIONS if t.before in ended} == {"operator's retry"}
    assert not any(may(Status.COMPLETED, after) for after in Status)
    assert {t.before for t in TRANSITIONS} | {Status.COMPLETED} == set(Status)


def test_L32_names_are_strings_and_a_rolled_back_failure_is_shown_as_such() -> None:
    assert Status.WAITING_CHILD_HUMAN_INPUT == "WAITING_CHILD_HUMAN_INPUT"
    assert f"{Status.PAUSED}" == "PAUSED"
    assert shown(Status.FAILED, Compensation.DONE) == "FAILED_ROLLED_BACK"
    assert shown(Status.FAILED, Compensation.RUNNING) == "FAILED"
    assert shown(Status.COMPLETED, Compensation.DONE) == "COMPLETED"


# -- a human, deep below -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["", ".1", LEAF], ids=["root", "middle", "leaf"])
@pytest.mark.parametrize("memory", ["warm", "evicted", "restarted"])
async def test_L33_a_human_deep_below_shows_everywhere_and_is_answered_from_anywhere(tmp_path, memory, at) -> None:
    waiting = (HUMAN, HUMAN, HUMAN, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=CHAIN) as app:
        if memory == "evicted":
            app.engine.warm._limit = 0
        execution = await app.start(top, "asks")
        await shows(app, execution.id, *waiting)
        if memory == "evicted":

            async def gone() -> bool:
                return not app.engine.traces.nodes

            await until(gone)
            await shows(app, execution.id, *waiting)
        if memory != "restarted":
            await answered(app, execution.id, at)
    if memory == "restarted":
        async with Remit(open_store(tmp_path), processes=CHAIN) as app:
            await shows(app, execution.id, *waiting)
            assert app.engine.traces.nodes == {}, "what waits for a human costs no memory"
            await answered(app, execution.id, at)


async def answered(app: Remit, root: str, at: str) -> None:
    """Answer at one of the executions, and see the answer through."""
    await app.answer(root + at, "plugh")
    assert (await app.outcome(root, timeout=3)).value == "plugh"
    await shows(app, root, *["COMPLETED"] * 4)
    with pytest.raises(MisuseError) as refused:
        await app.answer(root + at, "again")
    assert refused.value.code == "already_answered"


@pytest.mark.parametrize("memory", ["warm", "evicted", "restarted"])
async def test_L33_after_the_answer_ancestors_are_back_at_pending_sub_workflow_then_active(tmp_path, memory) -> None:
    @process("works_on")
    async def works_on(_: int) -> str:
        word = await ask(str, name="word")
        await until_open()
        return word

    @process("works_above", calls=[works_on])
    async def works_above(_: int) -> str:
        word = (await call_process(works_on, 1)).unwrap()
        await sleep(0.05)
        await until_open()
        await working(0.2)
        return word

    @process("top_above", calls=[works_above])
    async def top_above(_: int) -> str:
        return (await call_process(works_above, 1)).unwrap()

    async def on(app: Remit, root: str) -> None:
        await shows(app, root, HUMAN, HUMAN, "WAITING_HUMAN_INPUT")
        await app.answer(root, "xyzzy")
        await shows(app, root, SUB, SUB, "ACTIVE")
        gate.set()
        await shows(app, root, SUB, "ACTIVE", "COMPLETED")
        assert (await app.outcome(root, timeout=3)).value == "xyzzy"

    processes = [works_on, works_above, top_above]
    async with Remit(open_store(tmp_path), processes=processes) as app:
        if memory == "evicted":
            app.engine.warm._limit = 0
        execution = await app.start(top_above, 1)
        if memory != "restarted":
            await on(app, execution.id)
    if memory == "restarted":
        async with Remit(open_store(tmp_path), processes=processes) as app:
            await on(app, execution.id)


async def test_L33_one_of_several_branches_that_waits_for_a_human_is_enough_and_the_last_answer_clears_it() -> None:
    @process("wide", calls=[leaf, low])
    async def wide(_: int) -> list[str]:
        plans = [("low", "asks"), ("leaf", "asks"), ("leaf", "runs")]
        outcomes = await asyncio.gather(*(call_process(name, what) for name, what in plans))
        return [outcome.unwrap() for outcome in outcomes]

    async with Remit(":memory:", processes=[wide, low, leaf]) as app:
        execution = await app.start(wide, 1)
        await wait_until(app, execution.id + ".1.1", "WAITING_HUMAN_INPUT")
        await wait_until(app, execution.id, HUMAN)
        assert await status(app, execution.id + ".3") == "ACTIVE"
        await app.answer(execution.id + ".1", "one")
        await wait_until(app, execution.id + ".1", "COMPLETED")
        assert await status(app, execution.id) == HUMAN
        await app.answer(execution.id, "two")
        await wait_until(app, execution.id, SUB)
        gate.set()
        assert (await execution.outcome(timeout=3)).value == ["one", "two", "runs"]


async def test_L33_an_executions_own_ask_shows_before_its_childrens() -> None:
    @process("asks_too", calls=[leaf])
    async def asks_too(_: int) -> list[str]:
        below, own = await asyncio.gather(call_process(leaf, "asks"), ask(str, name="own"))
        return [below.unwrap(), own]

    async with Remit(":memory:", processes=[asks_too, leaf]) as app:
        execution = await app.start(asks_too, 1)
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        await wait_until(app, execution.id + ".1", "WAITING_HUMAN_INPUT")
        with pytest.raises(MisuseError) as several:
            await app.answer(execution.id, "which?")
        assert several.value.code == "ambiguous_ask"
        listed = sorted((each["execution_id"], each["ask"]) for each in several.value.details["asks"])
        assert listed == [(execution.id, "own"), (execution.id + ".1", "word")]
        await app.answer(execution.id, "mine", ask="own")
        await wait_until(app, execution.id, HUMAN)
        await app.answer(execution.id, "theirs")
        assert (await execution.outcome(timeout=3)).value == ["theirs", "mine"]


async def test_L33_async_edges_do_not_propagate_until_they_are_awaited() -> None:
    @process("starts", calls=[leaf])
    async def starts(_: int) -> str:
        child = await start_process(leaf, "asks")
        await wait_event("now")
        return (await child.outcome()).unwrap()

    async with Remit(":memory:", processes=[starts, leaf]) as app:
        execution = await app.start(starts, 1)
        await wait_until(app, execution.id + ".1", "WAITING_HUMAN_INPUT")
        assert await status(app, execution.id) == "PENDING_ASYNC"
        await app.send(execution.id, "now")
        await wait_until(app, execution.id, HUMAN)
        await app.answer(execution.id + ".1", "yes")
        assert (await execution.outcome(timeout=3)).value == "yes"


# -- waiting_on --------------------------------------------------------------------------------------------------------


async def test_L33_waiting_on_names_the_awaited_children_the_ask_and_the_reason_of_a_pause() -> None:
    async with Remit(":memory:", processes=CHAIN) as app:
        asks = await app.start(top, "asks")
        await shows(app, asks.id, HUMAN, HUMAN, HUMAN, "WAITING_HUMAN_INPUT")
        found = (await app.get(asks.id)).waiting_on
        assert (found.count, found.first[0]["execution_id"], found.first[0]["status"]) == (1, asks.id + ".1", HUMAN)
        [wait] = (await app.get(asks.id + LEAF)).waiting_on.first
        assert (wait["kind"], wait["name"], wait["to"]) == ("ask", "word", "role:clerk")
        paused = await app.start(top, "is exhausted", budget=Budget(tokens=50, on_exhausted="suspend"))
        await shows(app, paused.id, SUB, SUB, SUB, "PAUSED")
        [wait] = (await app.get(paused.id + ".1.1")).waiting_on.first
        assert (wait["status"], wait["reason"]) == ("PAUSED", "budget_exhausted")
        assert (await app.tree(paused.id)).waiting_on.count == 1


async def test_L33_waiting_on_gives_the_first_100_and_the_count() -> None:
    @process("crowd", calls=[leaf])
    async def crowd(count: int) -> int:
        await asyncio.gather(*(call_process(leaf, "asks", key=str(n)) for n in range(count)))
        return count

    async with Remit(":memory:", processes=[crowd, leaf]) as app:
        execution = await app.start(crowd, 120)
        await wait_until(app, execution.id + ".120", "WAITING_HUMAN_INPUT")
        await wait_until(app, execution.id, HUMAN)
        waiting = (await app.get(execution.id)).waiting_on
        assert (waiting.count, len(waiting.first)) == (120, 100)


async def test_L33_lists_find_waiting_executions_at_any_level() -> None:
    async with Remit(":memory:", processes=CHAIN) as app:
        asks = await app.start(top, "asks")
        await shows(app, asks.id, HUMAN, HUMAN, HUMAN, "WAITING_HUMAN_INPUT")
        await app.start(top, "completes")
        found = await app.list(status=HUMAN)
        assert sorted(record.execution_id for record in found) == [asks.id, asks.id + ".1", asks.id + ".1.1"]
        [waiting] = await app.list(status="WAITING_HUMAN_INPUT", root=asks.id)
        assert waiting.execution_id == asks.id + LEAF


@process
async def sleeps_long(_: int) -> int:
    await sleep(30)
    return 1


GIVEN_UP = {
    "a call": lambda: call_process(sleeps_long, 1),
    "a sleep": lambda: sleep(30),
    "an event": lambda: wait_event("never"),
    "an answer": lambda: ask(int, name="never"),
}


@pytest.mark.parametrize("waits_for", GIVEN_UP)
async def test_L32_a_body_whose_own_timeout_ends_its_wait_runs_on_and_completes(waits_for) -> None:
    """Nothing of the engine's wakes it: it was parked, and goes straight to its end."""

    @process(calls=[sleeps_long])
    async def gives_up(_: int) -> str:
        try:
            async with asyncio.timeout(0.05):
                await GIVEN_UP[waits_for]()
        except TimeoutError:
            return "gave up"
        return "waited"

    async with Remit(":memory:", processes=[gives_up, sleeps_long]) as app:
        execution = await app.start(gives_up, 1)
        assert (await execution.outcome(timeout=3)).unwrap() == "gave up"
        children = (await app.tree(execution.id)).children
        assert {str(child.status) for child in children} <= {"CANCELLED"}


async def test_L33_what_still_waits_beside_a_branch_that_gave_up_shows_and_holds_no_slot() -> None:
    async def gives_up() -> str:
        try:
            async with asyncio.timeout(0.05):
                await sleep(30)
        except TimeoutError:
            return "gave up"
        return "slept"

    @process
    async def two_branches(_: int) -> list[str]:
        return list(await asyncio.gather(gives_up(), ask(str, name="word")))

    async with Remit(":memory:", processes=[two_branches], limits=Limits(max_active=1)) as app:
        execution = await app.start(two_branches, 1)
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        await asyncio.sleep(0.15)
        record = await app.get(execution.id)
        assert (str(record.status), record.waiting_on.count) == ("WAITING_HUMAN_INPUT", 1)
        assert app.engine.traces.load(execution.id).trace.active == 0
        await app.answer(execution.id, "said")
        assert (await execution.outcome(timeout=3)).unwrap() == ["gave up", "said"]


async def test_L33_asks_of_one_name_at_one_execution_are_told_apart_and_all_are_answered() -> None:
    @process
    async def approves_each(names: list[str]) -> list[str]:
        return list(await asyncio.gather(*(ask(str, name="approve", prompt=name) for name in names)))

    async with Remit(":memory:", processes=[approves_each]) as app:
        execution = await app.start(approves_each, ["bolts", "nuts"])

        async def refusal(code: str, which: str | None) -> MisuseError | None:
            with pytest.raises(MisuseError) as refused:
                await app.answer(execution.id, "yes", ask=which)
            return refused.value if refused.value.code == code else None

        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        several = await refusal("ambiguous_ask", "approve")
        assert several is not None
        by_prompt = {each["prompt"]: each["ask"] for each in several.details["asks"]}
        assert set(by_prompt) == {"bolts", "nuts"}
        assert all(label in str(several) and label.startswith("approve#") for label in by_prompt.values())
        await app.answer(execution.id, "a few", ask=by_prompt["nuts"])
        assert await refusal("already_answered", by_prompt["nuts"])
        assert await refusal("no_open_ask", "approve#999")
        await app.answer(execution.id, "many", ask=by_prompt["bolts"])
        assert (await execution.outcome(timeout=3)).unwrap() == ["many", "a few"]


@step
async def pick(n: int) -> int:
    return n


@step
async def pack(n: int) -> int:
    return n


@process("packer")
async def packer(n: int) -> str:
    for _ in range(2):
        await pick(n)
    await pack(n)
    return await ask(str, name="label", prompt="Which label?") if n else "none"


@process("packing", calls=[packer])
async def packing(_: int) -> None:
    await asyncio.gather(*(call_process(packer, n) for n in range(2)))


async def test_L33_an_execution_is_shown_the_same_alone_in_listings_and_in_trees() -> None:
    async with Remit(":memory:", processes=[packer, packing]) as app:
        root = await app.start(packing, 1)
        await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
        await wait_until(app, f"{root.id}.1", "COMPLETED")

        async def seen() -> list[str | None]:
            tree = await app.tree(root.id)
            nodes = {each.execution_id: each for each in (tree, *tree.children)}
            for listed in await app.list(root=root.id):
                alone, node = await app.get(listed.execution_id), nodes[listed.execution_id]
                assert listed == alone == replace(node, children=[])
            return [nodes[each].current_step for each in sorted(nodes)]

        assert await seen() == [None, "pack", "label"]
        (waiting,) = await app.list(status="WAITING_HUMAN_INPUT")
        assert (waiting.waiting_on.count, waiting.waiting_on.first[0]["prompt"]) == (1, "Which label?")
        await app.answer(root.id, "blue")
        await root.outcome(timeout=5)
        assert await seen() == [None, "pack", "label"]
