"""Values that filters take long to look through: whatever pattern and text, everything else goes on meanwhile (L11, L43, L48)."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from remit import (
    MisuseError,
    Outcome,
    Remit,
    RemitError,
    ask,
    call_process,
    continue_as,
    process,
    start_process,
    step,
    tool,
)
from tests.laws.scene import open_store, until, wait_until
from tests.stalls import LONGEST_STALL_S, no_stall

EVIL = "a.{120}c"
"""A text of a and b keeps it at all of its places, by whichever engine: more than a second for a mebibyte."""


def made_for_it(chars: int) -> str:
    drawn = Random(1)
    return "".join(drawn.choices("ab", k=chars))


TEXT = made_for_it(1_000_000)
RAN: list[str] = []


@process("read")
async def read(text: Any) -> int:
    return len(text)


@process("write")
async def write(chars: int) -> str:
    return TEXT[:chars]


@tool("print")
async def printing(text: str) -> int:
    return len(text)


@process("hand-over", calls=[read])
async def hand_over(chars: int) -> Any:
    outcome: Outcome[Any] = await call_process(read, TEXT[:chars])
    return outcome.value


@process("press")
async def press(chars: int) -> int:
    return await printing(TEXT[:chars])


@process("again")
async def again(text: str) -> int:
    if not text:
        continue_as(TEXT)
    return len(text)


@step
async def noted() -> None:
    RAN.append("noted")


@step
async def quick() -> None:
    RAN.append("quick")


@step
async def in_order(seen: list[str]) -> list[str]:
    return seen


@process("side-by-side", calls=[read])
async def side_by_side(by: str) -> list[str]:
    seen: list[str] = []

    async def long() -> None:
        if by == "call":
            seen.append((await call_process(read, TEXT)).status)
        elif by == "start":
            child = await start_process(read, TEXT)
            seen.append("started")
            await child.outcome()
        else:
            try:
                await printing(TEXT)
            except RemitError as error:
                seen.append(error.code)

    async def short() -> None:
        await quick()
        seen.append("quick")

    await asyncio.gather(long(), short())
    told = await in_order(seen)
    await ask(str, name="go", prompt="Go on?", to="role:any")
    return told


@process("count")
async def count(text: str) -> int:
    return len(text)


PAUSES = {"late": 0.0, "early": 0.0}


@process("late-and-early", calls=[read, count])
async def late_and_early() -> list[int]:
    async def one(target: Any, pause: str) -> int:
        await asyncio.sleep(PAUSES[pause])
        return (await call_process(target, TEXT)).unwrap()

    lengths = list(await asyncio.gather(one(count, "late"), one(read, "early")))
    await ask(str, name="go", prompt="Go on?", to="role:any")
    return lengths


@process("impatient", calls=[read])
async def impatient(by: str) -> str:
    try:
        async with asyncio.timeout(0.2):
            await (call_process(read, TEXT) if by == "call" else printing(TEXT))
    except TimeoutError:
        await noted()
    return await ask(str, name="go", prompt="Go on?", to="role:any")


def looking(action: str = "block", pattern: str = EVIL) -> str:
    return f"policy: evil\nversion: 1.0.0\nfilters: [{{on: [input, result, tool], pattern: '{pattern}', action: {action}}}]\n"


@pytest.mark.parametrize(
    ("target", "value", "result"),
    [
        (read, TEXT, 1_000_000),
        (write, 1_000_000, TEXT),
        (hand_over, 1_000_000, 1_000_000),
        (press, 1_000_000, 1_000_000),
        (again, "", 1_000_000),
    ],
    ids=["start", "result", "call", "tool", "afresh"],
)
async def test_L48_an_evil_pattern_and_the_largest_value_stall_nobody(target: Any, value: Any, result: Any) -> None:
    async with Remit(":memory:", processes=[read, write, hand_over, press, again]) as app:
        await app.apply_policy(looking())
        await app.start(read, "filters are made ready once")
        began = time.perf_counter()
        async with no_stall():
            outcome = await (await app.start(target, value)).outcome(timeout=60)
        assert outcome.value == result
        assert time.perf_counter() - began > 5 * LONGEST_STALL_S, "the pattern was no evil one"


async def test_L43_a_long_value_is_judged_as_a_short_one_is() -> None:
    async with Remit(":memory:", processes=[read, hand_over, write]) as app:
        await app.apply_policy(looking("redact", "b[ab]{90}b"))
        for chars in (60, 40_000):
            outcome = await (await app.start(write, chars)).outcome(timeout=20)
            assert outcome.value == (TEXT[:60] if chars == 60 else "[redacted]")
            assert (await (await app.start(hand_over, chars)).outcome(timeout=20)).value == len(outcome.value)


async def test_L43_policies_that_change_while_a_value_is_looked_through_are_those_that_count() -> None:
    async with Remit(":memory:", processes=[read]) as app:
        await app.apply_policy(looking(pattern="a[ab]{200}c"))
        starting = asyncio.create_task(app.start(read, TEXT[:300_000]))
        await asyncio.sleep(0.1)
        await app.apply_policy(
            "policy: later\nversion: 1.0.0\nfilters: [{on: input, pattern: 'b[ab]{200}c', action: block}, {on: input, pattern: '[ab]{3}', action: block}]\n"
        )
        async with no_stall():
            with pytest.raises(MisuseError, match="Policy later"):
                await starting


async def test_L48_who_waits_for_filters_while_the_app_is_closed_is_told_and_no_thread_stays() -> None:
    async with Remit(":memory:", processes=[read]) as app:
        await app.apply_policy(looking(pattern="a[ab]{200}c"))
        starting = [asyncio.create_task(app.start(read, TEXT[:chars])) for chars in (50_000, 50_001, 300_000, 300_001, 50_002)]
        await asyncio.sleep(0.05)
    told = await asyncio.gather(*starting, return_exceptions=True)
    assert all(isinstance(each, MisuseError) and each.code == "wrong_state" for each in told[2:]), told
    await until(lambda: asyncio.sleep(0, not any(each.name.startswith("remit-filters") for each in threading.enumerate())), 20)


@pytest.mark.parametrize("by", ["call", "tool"])
async def test_L11_a_branch_that_gives_up_while_filters_look_gives_up_there_in_replay_too(by: str, tmp_path: Path) -> None:
    RAN.clear()
    async with Remit(open_store(tmp_path), processes=[read, impatient]) as app:
        await app.apply_policy(looking())
        root = await app.start(impatient, by)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        assert RAN == ["noted"]
    async with Remit(open_store(tmp_path), processes=[read, impatient]) as app:
        await app.answer(root.id, "yes")
        assert (await app.outcome(root.id, timeout=20)).value == "yes"
        assert RAN == ["noted"]
        assert (await app.tree(root.id)).children == []


@pytest.mark.parametrize(
    ("by", "more", "heard"),
    [
        ("call", ", {on: input, pattern: '[ab]{9}', action: block}", "rejected"),
        ("start", "", "started"),
        ("tool", ", {on: tool, pattern: '[ab]{9}', action: block}", "policy_denied"),
    ],
)
async def test_L11_what_comes_of_a_long_look_comes_in_the_same_turn_in_replay(by: str, more: str, heard: str, tmp_path: Path) -> None:
    RAN.clear()
    async with Remit(open_store(tmp_path), processes=[read, side_by_side]) as app:
        await app.apply_policy(looking().replace("block}]", f"block}}{more}]"))
        root = await app.start(side_by_side, by)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT", seconds=20)
        entries = [(each.kind, each.name, each.params) for each in await app.journal(root.id)]
        assert (("wait", "filters", "read") in entries) is (by != "tool")
    async with Remit(open_store(tmp_path), processes=[read, side_by_side]) as app:
        await app.answer(root.id, "yes")
        assert (await app.outcome(root.id, timeout=20)).value == ["quick", heard]
        assert RAN == ["quick"]


async def test_L11_a_look_that_begins_while_others_are_still_owed_is_found_again(tmp_path: Path) -> None:
    processes = [read, count, late_and_early]
    async with Remit(open_store(tmp_path), processes=processes) as app:
        await app.apply_policy(looking())
        PAUSES.update(late=60, early=0)
        root = await app.start(late_and_early)
        await until(lambda: ended(app, root.id, ".1"), 20)
    for late, early in ((0, 2), (0, 0)):
        PAUSES.update(late=late, early=early)
        async with Remit(open_store(tmp_path), processes=processes) as app:
            await wait_until(app, root.id, "WAITING_HUMAN_INPUT", seconds=20)
            if not early:
                await app.answer(root.id, "yes")
                assert (await app.outcome(root.id, timeout=20)).value == [1_000_000, 1_000_000]


async def ended(app: Remit, root: str, place: str) -> bool:
    return any(each.execution_id == root + place and each.ended_at for each in (await app.tree(root)).children)


async def test_L43_a_value_that_is_too_long_without_what_was_found_is_refused() -> None:
    """Each address is shorter than what stands in its place."""
    async with Remit(":memory:", processes=[read]) as app:
        await app.apply_policy("policy: pii\nversion: 1.0.0\nfilters: [{on: input, find: email, action: redact}]\n")
        with pytest.raises(MisuseError, match="the value without it is longer than a value may be"):
            await app.start(read, ["a@b.de"] * 110_000)
