"""Which call is which: by what is called and with what, or by the caller's key; in any order, once each (L9, L10)."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from remit import Budget, MisuseError, Remit, ask, call_process, process, start_process, step
from tests.laws.scene import every, open_store, wait_until

made: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_made() -> None:
    made.clear()


@step
async def make(value: Any) -> int:
    made.append(value)
    count = len(made)
    await asyncio.sleep(0)
    return count


@process("serial")
async def serial(value: int) -> list[int]:
    """What came in, and a number that no other execution gets."""
    return [value, await make(value)]


@process("other")
async def other(value: int) -> list[int]:
    return [-value, await make(-value)]


# -- one key, one child ---------------------------------------------------------------------------------------------


async def test_L9_1000_concurrent_callers_with_one_key_make_one_child():
    @process("crowd", calls=[serial])
    async def crowd(size: int) -> list[list[int]]:
        outcomes = await asyncio.gather(*(call_process(serial, 7, key="one") for _ in range(size)))
        return [outcome.unwrap() for outcome in outcomes]

    async with Remit(":memory:", processes=[crowd, serial]) as app:
        root = await app.start(crowd, 1_000)
        assert (await root.outcome(20)).unwrap() == [[7, 1]] * 1_000
        assert set(await every(app, root.id)) == {"", ".1"}
        assert made == [7]


async def test_L9_1000_concurrent_starts_with_one_key_make_one_root():
    async with Remit(":memory:", processes=[serial]) as app:
        roots = await asyncio.gather(*(app.start(serial, 7, key="one") for _ in range(1_000)))
        assert len({root.id for root in roots}) == 1
        assert sum(root.new for root in roots) == 1
        outcomes = await asyncio.gather(*(root.outcome(20) for root in roots))
        assert [outcome.unwrap() for outcome in outcomes] == [[7, 1]] * 1_000


async def test_L9_a_key_known_from_an_earlier_life_gives_the_recorded_outcome(tmp_path):
    async with Remit(open_store(tmp_path), processes=[serial]) as app:
        root = await app.start(serial, 7, key="one")
        assert (await root.outcome(10)).unwrap() == [7, 1]
    async with Remit(open_store(tmp_path), processes=[serial]) as app:
        again = await app.start(serial, 7, key="one")
        assert (again.id, again.new) == (root.id, False)
        assert (await again.outcome(10)).unwrap() == [7, 1]
    assert made == [7]


async def test_L9_the_same_key_is_anothers_for_another_tenant():
    async with Remit(":memory:", processes=[serial]) as app:
        roots = [await app.start(serial, 7, key="one", tenant=tenant) for tenant in ("acme", "globex", None, "acme")]
        assert len({root.id for root in roots}) == 3
        assert roots[0].id == roots[3].id
        for root in roots:
            await root.outcome(10)


async def test_L9_the_same_key_under_another_parent_is_another_call():
    @process("uses_key", calls=[serial])
    async def uses_key(number: int) -> list[int]:
        return (await call_process(serial, 7, key="one")).unwrap()

    @process("two_parents", calls=[uses_key])
    async def two_parents() -> list[list[int]]:
        return [(await call_process(uses_key, number)).unwrap() for number in (1, 2)]

    async with Remit(":memory:", processes=[two_parents, uses_key, serial]) as app:
        root = await app.start(two_parents)
        assert (await root.outcome(10)).unwrap() == [[7, 1], [7, 2]]


async def test_L9_calling_and_starting_share_a_key():
    @process("both", calls=[serial])
    async def both() -> list[Any]:
        child = await start_process(serial, 7, key="one")
        outcome = await call_process(serial, 7, key="one")
        return [child.id == outcome.execution_id, outcome.unwrap(), (await child.outcome()).unwrap()]

    async with Remit(":memory:", processes=[both, serial]) as app:
        root = await app.start(both)
        assert (await root.outcome(10)).unwrap() == [True, [7, 1], [7, 1]]


async def test_L9_without_a_key_the_nth_equal_call_is_a_call_of_its_own():
    @process("equal", calls=[serial])
    async def equal() -> list[list[int]]:
        outcomes = await asyncio.gather(*(call_process(serial, 7) for _ in range(3)))
        return sorted(outcome.unwrap() for outcome in outcomes)

    async with Remit(":memory:", processes=[equal, serial]) as app:
        root = await app.start(equal)
        assert (await root.outcome(10)).unwrap() == [[7, 1], [7, 2], [7, 3]]


# -- conflicts ------------------------------------------------------------------------------------------------------


def tried(outcome: Any) -> Any:
    """A result, or the code and class of what went wrong."""
    return [outcome.error.code, str(outcome.error.error_class)] if outcome.error else outcome.value


CONFLICT = ["idempotency_conflict", "DOMAIN"]


@pytest.mark.parametrize("at_once", [False, True])
async def test_L10_the_same_key_with_another_input_is_a_conflict(at_once):
    @process("conflicts", calls=[serial])
    async def conflicts() -> list[Any]:
        calls = [call_process(serial, value, key="one") for value in (1, 2, 1)]
        outcomes = await asyncio.gather(*calls) if at_once else [await each for each in calls]
        return [tried(outcome) for outcome in outcomes]

    async with Remit(":memory:", processes=[conflicts, serial]) as app:
        root = await app.start(conflicts)
        assert (await root.outcome(10)).unwrap() == [[1, 1], CONFLICT, [1, 1]]
        assert len(await app.alerts(code="idempotency_conflict")) == 1


async def test_L10_the_same_key_for_another_target_is_never_another_calls_result():
    @process("mixes", calls=[serial, other])
    async def mixes() -> list[Any]:
        return [tried(await call_process(target, 1, key="one")) for target in (serial, other)]

    async with Remit(":memory:", processes=[mixes, serial, other]) as app:
        root = await app.start(mixes)
        assert (await root.outcome(10)).unwrap() == [[1, 1], CONFLICT]


@pytest.mark.parametrize(("target", "value"), [(serial, 8), (other, 7)])
async def test_L10_a_roots_key_with_another_input_or_process_is_a_conflict(target, value, tmp_path):
    async with Remit(open_store(tmp_path), processes=[serial, other]) as app:
        root = await app.start(serial, 7, key="one")
        await root.outcome(10)
        with pytest.raises(MisuseError) as caught:
            await app.start(target, value, key="one")
        assert caught.value.code == "idempotency_conflict"
        assert len(await app.list()) == 1
    async with Remit(open_store(tmp_path), processes=[serial, other]) as app:
        with pytest.raises(MisuseError):
            await app.start(target, value, key="one")
    assert made == [7]


@pytest.mark.parametrize("first", [1, 2])
async def test_L10_a_conflict_is_replayed_as_it_was_whichever_branch_comes_first(tmp_path, first):
    turn = [1, 2]

    @process("conflicting", calls=[serial])
    async def conflicting() -> list[Any]:
        async def branch(value: int) -> list[Any]:
            return [value, tried(await call_process(serial, value, key="one"))]

        found = await asyncio.gather(*(branch(value) for value in turn))
        await ask(bool, name="go")
        return sorted(found)

    async with Remit(open_store(tmp_path), processes=[conflicting, serial]) as app:
        root = await app.start(conflicting)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
    turn.sort(reverse=first == 2)
    async with Remit(open_store(tmp_path), processes=[conflicting, serial]) as app:
        await app.answer(root.id, True)
        assert (await app.outcome(root.id, 5)).unwrap() == [[1, [1, 1]], [2, CONFLICT]]


async def test_L9_a_key_whose_call_was_refused_is_free_and_both_are_replayed(tmp_path):
    @process("second_try", calls=[serial])
    async def second_try() -> list[Any]:
        found = [tried(await call_process(serial, 7, key="one", estimate=tokens)) for tokens in (1_000, 10, 10)]
        await ask(bool, name="go")
        return found

    async with Remit(open_store(tmp_path), processes=[second_try, serial]) as app:
        root = await app.start(second_try, budget=Budget(tokens=100))
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[second_try, serial]) as app:
        await app.answer(root.id, True)
        expected = [["budget_exceeded", "DOMAIN"], [7, 1], [7, 1]]
        assert (await app.outcome(root.id, 5)).unwrap() == expected
    assert made == [7]


# -- any interleaving -----------------------------------------------------------------------------------------------


def shuffled(size: int, seed: int) -> list[int]:
    """The numbers below `size`, in an order drawn from a seed."""
    order = list(range(size))
    random.Random(seed).shuffle(order)
    return order


@pytest.mark.parametrize("group", [False, True])
async def test_L9_branches_that_replay_in_another_order_get_their_own_results(tmp_path, seed, group):
    lives = [0]

    @process("fan", calls=[serial])
    async def fan(size: int) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}

        async def branch(number: int) -> None:
            first = (await call_process(serial, number)).unwrap()
            step_value = await make(f"step {number}")
            second = (await call_process(serial, number)).unwrap()
            answer = await ask(int, name=f"ask {number}") if number % 3 == 0 else 0
            found[str(number)] = [*first, step_value, *second, answer]

        order = shuffled(size, seed + lives[0])
        if group:
            async with asyncio.TaskGroup() as tasks:
                for number in order:
                    tasks.create_task(branch(number))
        else:
            await asyncio.gather(*(branch(number) for number in order))
        return found

    async with Remit(open_store(tmp_path), processes=[fan, serial]) as app:
        root = await app.start(fan, 12)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        before = {id_: record.result for id_, record in (await every(app, root.id)).items() if id_}
    count = len(made)
    assert count == 36
    for number in (0, 3, 6, 9):
        lives[0] += 1
        async with Remit(open_store(tmp_path), processes=[fan, serial]) as app:
            await app.answer(root.id, number, ask=f"ask {number}")
            await wait_until(app, root.id, "WAITING_HUMAN_INPUT", "COMPLETED")
            result = (await app.outcome(root.id, 5)).unwrap() if number == 9 else {}
            assert {id_: record.result for id_, record in (await every(app, root.id)).items() if id_} == before
    assert len(made) == count
    assert sorted(result, key=int) == [str(number) for number in range(12)]
    for number in range(12):
        one, serial_one, _, two, serial_two, answer = result[str(number)]
        assert (one, two) == (number, number)
        assert serial_one < serial_two
        assert answer == (number if number % 3 == 0 else 0)
        assert made[serial_one - 1] == made[serial_two - 1] == number


async def test_L9_equal_calls_of_concurrent_branches_are_interchangeable(tmp_path, seed):
    lives = [0]

    @process("same", calls=[serial])
    async def same(size: int) -> list[list[int]]:
        async def branch(number: int) -> list[int]:
            await make(["before", number])
            return (await call_process(serial, 7)).unwrap()

        found = await asyncio.gather(*(branch(number) for number in shuffled(size, seed + lives[0])))
        await ask(bool, name="go")
        return sorted(found)

    async with Remit(open_store(tmp_path), processes=[same, serial]) as app:
        root = await app.start(same, 9)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
    lives[0] += 1
    async with Remit(open_store(tmp_path), processes=[same, serial]) as app:
        await app.answer(root.id, True)
        found = (await app.outcome(root.id, 5)).unwrap()
        assert len({number for _, number in found}) == 9
        assert len(await every(app, root.id)) == 10
    assert len(made) == 18
