"""Ids that spell out the tree, ancestry, depth and cycles (L1, L2, L3, L4)."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from typing import Any

import pytest

from remit import (
    DomainError,
    Limits,
    Remit,
    Retry,
    TransientError,
    ask,
    call_process,
    current,
    process,
    start_process,
    step,
)
from tests.laws.scene import every, flatten, open_store, wait_until

# -- L1, L2: ids and ancestry ---------------------------------------------------------------------------------------


@process("leaf")
async def leaf(number: int) -> dict[str, Any]:
    here = current()
    return {"id": here.execution_id, "depth": here.depth, "above": list(here.ancestor_execution_ids)}


@process("branch", calls=["branch_below", "leaf"])
async def branch(width: int) -> list[dict[str, Any]]:
    await asyncio.gather(*(call_process("branch_below", number) for number in range(width)))
    return [(await call_process(leaf, number)).unwrap() for number in range(width)]


@process("branch_below", calls=["leaf"])
async def branch_below(number: int) -> list[str]:
    child = await start_process(leaf, number)
    return [child.id, (await child.outcome()).unwrap()["id"]]


@process("trunk", calls=["branch", "leaf"])
async def trunk(width: int) -> list[dict[str, Any]]:
    return (await call_process(branch, width)).unwrap()


TREE = [trunk, branch, branch_below, leaf]


async def test_L1_a_roots_id_is_exec_and_24_hex_digits_of_which_12_are_milliseconds():
    async with Remit(":memory:", processes=[leaf]) as app:
        before = time.time_ns() // 1_000_000
        ids = [(await app.start(leaf, number)).id for number in range(20)]
        after = time.time_ns() // 1_000_000
        assert all(re.fullmatch(r"exec_[0-9a-f]{24}", each) for each in ids)
        assert all(before <= int(each[5:17], 16) <= after + 1 for each in ids)
        assert len({each[17:] for each in ids}) == 20
        for each in ids:
            await app.outcome(each)


async def test_L1_a_child_is_its_parents_id_and_an_ordinal_in_order_of_admission():
    async with Remit(":memory:", processes=TREE) as app:
        root = await app.start(trunk, 3)
        leaves = (await root.outcome(10)).unwrap()
        there = await every(app, root.id)
        expected = {"", ".1"} | {f".1.{n}" for n in range(1, 7)} | {f".1.{n}.1" for n in range(1, 4)}
        assert set(there) == expected
        assert [there[f".1.{n}"].process for n in range(1, 7)] == ["branch_below"] * 3 + ["leaf"] * 3
        assert [there[f".1.{n}"].input for n in range(1, 7)] == [0, 1, 2, 0, 1, 2]
        assert [each["id"] for each in leaves] == [f"{root.id}.1.{n}" for n in range(4, 7)]


async def test_L1_ordinals_go_past_nine_and_children_stand_in_ordinal_order():
    @process("many", calls=[leaf])
    async def many(count: int) -> None:
        await asyncio.gather(*(call_process(leaf, number) for number in range(count)))

    async with Remit(":memory:", processes=[many, leaf]) as app:
        root = await app.start(many, 12)
        (await root.outcome(10)).unwrap()
        tree = await app.tree(root.id)
        assert [child.execution_id for child in tree.children] == [f"{root.id}.{n}" for n in range(1, 13)]
        assert [child.input for child in tree.children] == list(range(12))


async def test_L1_the_whole_tree_is_rebuilt_from_any_one_record(tmp_path):
    async with Remit(open_store(tmp_path), processes=TREE) as app:
        root = await app.start(trunk, 2)
        (await root.outcome(10)).unwrap()
        trees = [await app.tree(each.execution_id) for each in flatten(await app.tree(root.id))]
        assert len(trees) == 8
        assert all(each == trees[0] for each in trees)
        assert trees[0].execution_id == root.id
    async with Remit(open_store(tmp_path), processes=[]) as app:
        assert await app.tree(trees[0].children[0].children[0].children[0].execution_id) == trees[0]


async def test_L1_the_opentelemetry_trace_id_is_derived_and_never_the_same_string():
    @process("traced")
    async def traced() -> list[str]:
        return [current().trace_id, current().otel_trace_id]

    async with Remit(":memory:", processes=[traced]) as app:
        root = await app.start(traced)
        trace_id, otel = (await root.outcome(10)).unwrap()
    assert trace_id == root.id
    assert otel == hashlib.sha256(root.id.encode()).hexdigest()[:32] != root.id


async def test_L1_a_retry_keeps_the_id_and_raises_the_attempt():
    tries: list[str] = []

    @process("shaky", retry=Retry(attempts=3, first=0.001))
    async def shaky() -> int:
        tries.append(current().execution_id)
        if len(tries) < 3:
            raise TransientError("not yet")
        return len(tries)

    @process("caller", calls=[shaky])
    async def caller() -> list[Any]:
        outcome = await call_process(shaky)
        return [outcome.execution_id, outcome.unwrap()]

    async with Remit(":memory:", processes=[caller, shaky]) as app:
        root = await app.start(caller)
        assert (await root.outcome(10)).unwrap() == [f"{root.id}.1", 3]
        assert tries == [f"{root.id}.1"] * 3
        there = await every(app, root.id)
        assert set(there) == {"", ".1"}
        assert (there[".1"].attempt, there[""].attempt) == (3, 1)


async def test_L1_ordinals_go_on_after_a_restart(tmp_path):
    @process("half", calls=[leaf])
    async def half() -> list[str]:
        ids = [(await call_process(leaf, number)).unwrap()["id"] for number in range(2)]
        await ask(bool, name="more")
        return [*ids, (await call_process(leaf, 2)).unwrap()["id"]]

    async with Remit(open_store(tmp_path), processes=[half, leaf]) as app:
        root = await app.start(half)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[half, leaf]) as app:
        await app.answer(root.id, True)
        assert (await app.outcome(root.id, 10)).unwrap() == [f"{root.id}.{n}" for n in (1, 2, 3)]


async def test_L2_every_record_knows_parent_root_depth_and_ancestors_root_first():
    async with Remit(":memory:", processes=TREE) as app:
        root = await app.start(trunk, 2)
        inside = (await root.outcome(10)).unwrap()
        for record in flatten(await app.tree(root.id)):
            id_ = record.execution_id
            parts = id_.split(".")
            above = [".".join(parts[:count]) for count in range(1, len(parts))]
            assert list(record.ancestor_execution_ids) == above
            assert len(record.ancestor_execution_ids) == record.depth == len(parts) - 1
            assert record.parent_execution_id == (above[-1] if above else None)
            assert record.root_execution_id == root.id
            assert (await app.get(id_)).ancestor_execution_ids == record.ancestor_execution_ids
        assert (await app.get(root.id)).depth == 0
        assert inside[0] == {"id": f"{root.id}.1.3", "depth": 2, "above": [root.id, f"{root.id}.1"]}


# -- L3: depth ------------------------------------------------------------------------------------------------------


def chain(length: int, *, start: bool = False) -> list[Any]:
    """`length` processes, each calling or starting the next; each returns what came back from below."""

    def link(number: int) -> Any:
        @process(f"level{number}", calls=[f"level{number + 1}"])
        async def body() -> list[Any]:
            if start:
                try:
                    child = await start_process(f"level{number + 1}")
                except DomainError as error:
                    return [number, error.code, str(error)]
                return [number, *(await child.outcome()).unwrap()]
            outcome = await call_process(f"level{number + 1}")
            if outcome.error is not None:
                return [number, outcome.error.code, outcome.error.message, outcome.error.details["limit"]]
            return [number, *outcome.unwrap()]

        return body

    return [link(number) for number in range(length)]


DEEP = "Cannot nest sub-workflows deeper than 5 levels. Current depth: 5"


async def test_L3_a_chain_holds_six_executions_and_the_seventh_is_refused_to_the_letter():
    async with Remit(":memory:", processes=chain(8)) as app:
        root = await app.start("level0")
        assert (await root.outcome(10)).unwrap() == [0, 1, 2, 3, 4, 5, "depth_exceeded", DEEP, 5]
        records = flatten(await app.tree(root.id))
        assert [record.depth for record in records] == [0, 1, 2, 3, 4, 5]
        [alert] = await app.alerts(code="depth_exceeded")
        assert (alert.execution_id, alert.message) == (records[-1].execution_id, DEEP)
        assert alert.details["ancestry"] == [f"level{number}" for number in range(6)]


async def test_L3_async_children_count_alike():
    async with Remit(":memory:", processes=chain(8, start=True)) as app:
        root = await app.start("level0")
        assert (await root.outcome(10)).unwrap() == [0, 1, 2, 3, 4, 5, "depth_exceeded", DEEP]
        assert len(flatten(await app.tree(root.id))) == 6


@pytest.mark.parametrize("limit", [0, 1, 3, 7])
async def test_L3_the_message_names_the_effective_limit(limit):
    async with Remit(":memory:", processes=chain(10), limits=Limits(max_depth=limit)) as app:
        root = await app.start("level0")
        message = f"Cannot nest sub-workflows deeper than {limit} levels. Current depth: {limit}"
        expected = [*range(limit + 1), "depth_exceeded", message, limit]
        assert (await root.outcome(10)).unwrap() == expected


async def test_L3_depth_holds_after_a_restart_in_the_middle_of_the_chain(tmp_path):
    gate = asyncio.Event()

    @step
    async def hold() -> None:
        await gate.wait()

    @process("level5", calls=["level6"])
    async def bottom() -> list[Any]:
        await hold()
        outcome = await call_process("level6")
        return [5, outcome.error.message if outcome.error else None]

    processes = [*chain(5), bottom, *chain(7)[6:]]
    async with Remit(open_store(tmp_path), processes=processes) as app:
        root = await app.start("level0")
        await wait_until(app, f"{root.id}.1.1.1.1.1", "ACTIVE")
    gate.set()
    async with Remit(open_store(tmp_path), processes=processes) as app:
        assert (await app.outcome(root.id, 10)).unwrap() == [0, 1, 2, 3, 4, 5, DEEP]


# -- L4: cycles -----------------------------------------------------------------------------------------------------


async def rejected(app: Remit, target: Any, value: Any = None) -> Any:
    """The rejection a root hands back as its result."""
    root = await app.start(target, value)
    return root, (await root.outcome(10)).unwrap()


def cyclic(name: str, target: str, **options: Any) -> Any:
    """A process that calls another and hands back the deepest refusal."""

    @process(name, calls=[target], **options)
    async def body() -> dict[str, Any]:
        outcome = await call_process(target)
        if outcome.error is not None:
            return {"at": name, "code": outcome.error.code, "message": outcome.error.message, **outcome.error.details}
        return outcome.unwrap()

    return body


async def test_L4_a_process_that_calls_itself_is_rejected():
    async with Remit(":memory:", processes=[cyclic("A", "A")]) as app:
        root, refusal = await rejected(app, "A")
        assert refusal["code"] == "cycle_detected"
        assert refusal["path"] == ["A", "A"]
        assert "A → A" in refusal["message"]
        assert len(flatten(await app.tree(root.id))) == 1


async def test_L4_an_indirect_cycle_is_rejected_with_its_path():
    async with Remit(":memory:", processes=[cyclic("A", "B"), cyclic("B", "C"), cyclic("C", "A")]) as app:
        root, refusal = await rejected(app, "A")
        assert (refusal["at"], refusal["path"]) == ("C", ["A", "B", "C", "A"])
        assert "A → B → C → A" in refusal["message"]
        assert len(flatten(await app.tree(root.id))) == 3
        [alert] = await app.alerts(code="cycle_detected")
        assert alert.execution_id == f"{root.id}.1.1"


async def test_L4_the_path_begins_where_the_cycle_does_not_at_the_root():
    async with Remit(":memory:", processes=[cyclic("top", "A"), cyclic("A", "B"), cyclic("B", "A")]) as app:
        _, refusal = await rejected(app, "top")
        assert refusal["path"] == ["A", "B", "A"]


async def test_L4_another_version_of_the_same_name_is_the_same_target():
    old = cyclic("A", "A", version="1.0.0")

    @process("A", version="2.0.0")
    async def newer() -> dict[str, Any]:
        return {}

    async with Remit(":memory:", processes=[old, newer]) as app:
        _, refusal = await rejected(app, old)
        assert refusal["code"] == "cycle_detected"


async def test_L4_starting_without_waiting_is_guarded_alike():
    @process("again", calls=["again"])
    async def again() -> str:
        try:
            await start_process("again")
        except DomainError as error:
            return error.code
        return "started"

    async with Remit(":memory:", processes=[again]) as app:
        root, refusal = await rejected(app, again)
        assert refusal == "cycle_detected"
        assert len(flatten(await app.tree(root.id))) == 1


async def test_L4_a_sibling_that_has_ended_is_no_ancestor():
    @process("twice", calls=[leaf])
    async def twice() -> list[str]:
        return [(await call_process(leaf, number)).status for number in (1, 2)]

    async with Remit(":memory:", processes=[twice, leaf]) as app:
        assert (await rejected(app, twice))[1] == ["completed", "completed"]


@pytest.mark.parametrize(
    ("recursion", "operator", "stands"), [(0, 0, 1), (2, 0, 1), (0, 3, 1), (2, 1, 2), (1, 3, 2), (2, 2, 3)]
)
async def test_L4_recursion_stands_n_extra_times_only_up_to_the_operators(recursion, operator, stands):
    processes = [cyclic("A", "A", recursion=recursion)]
    async with Remit(":memory:", processes=processes, limits=Limits(max_recursion=operator)) as app:
        root, refusal = await rejected(app, "A")
        assert refusal["code"] == "cycle_detected"
        assert len(flatten(await app.tree(root.id))) == stands


async def test_L4_depth_bounds_recursion_too():
    processes = [cyclic("A", "A", recursion=50)]
    async with Remit(":memory:", processes=processes, limits=Limits(max_recursion=50)) as app:
        root, refusal = await rejected(app, "A")
        assert refusal["code"] == "depth_exceeded"
        assert len(flatten(await app.tree(root.id))) == 6
