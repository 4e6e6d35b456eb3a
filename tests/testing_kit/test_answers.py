"""Scripted people: answers and events are given to whoever waits for them, as soon as somebody does."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from remit import DomainError, InvalidInput, MisuseError, ask, call_process, process
from remit.durable import sleep, wait_event
from remit.testing import Awaited, TestApp, after, hangs, in_turn
from tests.testing_kit.shop import SHOP, Parcel, order, paid

FR = Parcel(country="FR", grams=2)
SHIP: dict[str, Any] = {"tools": {"rate-card": 7}, "children": {"payment": True}}


class Decision(BaseModel):
    approved: bool
    by: str = "nobody"


@process("asks")
async def asks(name: str) -> Decision:
    await sleep("1h")
    return await ask(Decision, name=name, prompt=f"{name}?", to="role:clerk", timeout="2d")


@process("asks_several", calls=[asks])
async def asks_several(names: list[str]) -> list[str]:
    outcomes = await asyncio.gather(*(call_process(asks, name) for name in names))
    return [outcome.unwrap().by for outcome in outcomes]


ASKS = [asks, asks_several]


@pytest.mark.parametrize("answer", [{"approved": True, "by": "Ada"}, Decision(approved=True, by="Ada")], ids=str)
@pytest.mark.parametrize("name", ["ship", "asks/ship"])
async def test_an_ask_is_answered_by_its_name_or_its_process_and_name(name, answer) -> None:
    async with TestApp(ASKS, answers={name: answer}) as app:
        assert (await app.run(asks, "ship")).unwrap() == Decision(approved=True, by="Ada")
        assert app.clock.elapsed == timedelta(hours=1)


async def test_the_nearer_name_wins() -> None:
    answers = {"ship": {"approved": False}, "asks/ship": {"approved": True}}
    async with TestApp(ASKS, answers=answers) as app:
        assert (await app.run(asks, "ship")).unwrap().approved


async def test_an_answer_may_come_later_or_too_late() -> None:
    for delay, code in (("1d", None), ("3d", "ask_timeout")):
        async with TestApp(ASKS, answers={"ship": after(delay, {"approved": True})}) as app:
            outcome = await app.run(asks, "ship")
            assert (outcome.error.code if outcome.error else None) == code


async def test_an_answer_that_comes_too_late_is_told() -> None:
    @process(calls=[asks])
    async def goes_on(_: None) -> str:
        outcome = await call_process(asks, "ship")
        await sleep("2d")
        return str(outcome.error.code if outcome.error else "answered")

    async with TestApp([goes_on, asks], answers={"ship": after("3d", {"approved": True})}) as app:
        with pytest.raises(MisuseError, match="Nothing named 'ship' waits for an answer"):
            await app.run(goes_on, None)


async def test_a_function_answers_by_what_is_asked() -> None:
    asked: list[Awaited] = []

    async def answers(what: Awaited) -> dict[str, Any]:
        asked.append(what)
        await asyncio.sleep(0)
        return {"approved": True, "by": f"{what.to} for {what.input}"}

    async with TestApp(ASKS, answers={"ship": answers}) as app:
        outcome = await app.run(asks, "ship")
        assert outcome.unwrap().by == "role:clerk for ship"
        assert [(each.kind, each.name, each.prompt, each.process) for each in asked] == [
            ("ask", "ship", "ship?", "asks")
        ]


async def test_several_asks_at_once_are_answered_each_at_its_own() -> None:
    answers = in_turn({"approved": True, "by": "Ada"}, {"approved": True, "by": "Bea"})
    async with TestApp(ASKS, answers={"ship": answers, "pay": {"approved": True, "by": "Cem"}}) as app:
        outcome = await app.run(asks_several, ["ship", "pay"])
        assert outcome.unwrap() == ["Ada", "Cem"]
        assert (await app.run(asks, "ship")).unwrap().by == "Bea"
        with pytest.raises(AssertionError, match="the ask 'ship' was asked for once more"):
            await app.run(asks, "ship")


async def test_nobody_answers() -> None:
    async with TestApp(ASKS, answers={"ship": hangs}) as app:
        assert (await app.run(asks, "ship")).error.code == "ask_timeout"


async def test_an_answer_that_does_not_fit_fails_the_test_and_not_the_process() -> None:
    async with TestApp(ASKS, answers={"ship": {"approved": "perhaps"}}) as app:
        execution = await app.start(asks, "ship")
        with pytest.raises(InvalidInput, match="/approved"):
            await execution.outcome()
        assert (await execution.record()).status == "WAITING_HUMAN_INPUT"


async def test_an_answering_function_that_raises_fails_the_test() -> None:
    def fails(_: Awaited) -> None:
        raise DomainError("no_idea")

    for line in (fails, after("1h", fails)):
        async with TestApp(ASKS, answers={"ship": line}) as app:
            with pytest.raises(DomainError, match="no_idea"):
                await app.run(asks, "ship")


async def test_a_misspelt_answer_is_told_at_the_end() -> None:
    with pytest.raises(AssertionError, match=r"answers=\{'aprove': ...\} was never asked for: did you mean 'approve'"):
        async with TestApp(SHOP, answers={"aprove": True}, **SHIP) as app:
            assert (await app.run(order, FR)).unwrap() == "not sent: nobody said yes"


async def test_an_answer_that_nobody_needed_is_no_error() -> None:
    async with TestApp(SHOP, tools={"rate-card": DomainError("no_rate")}, answers={"approve": True}) as app:
        assert (await app.run(order, FR)).unwrap() == "not sent: no_rate"


async def test_answers_are_given_while_time_is_moved_by_hand() -> None:
    async with TestApp(ASKS, answers={"ship": {"approved": True}}) as app:
        execution = await app.start(asks, "ship")
        await app.clock.advance("59m")
        assert (await execution.record()).status == "PENDING_ASYNC"
        await app.clock.advance("2m")
        assert (await execution.record()).status == "COMPLETED"


async def test_L33_the_leaf_s_wait_is_answered_through_the_root_by_hand() -> None:
    async with TestApp(ASKS) as app:
        execution = await app.start(asks_several, ["ship"])
        await app.clock.advance("1h")
        assert (await execution.record()).status == "WAITING_CHILD_HUMAN_INPUT"
        await app.answer(execution.id, {"approved": True, "by": "Ada"})
        assert (await execution.outcome()).unwrap() == ["Ada"]


async def test_L50_an_event_is_sent_when_it_is_waited_for() -> None:
    for events in (
        {"payment": {"cents": 7}},
        {"paid/payment": in_turn({"cents": 7})},
        {"payment": after("6d", {"cents": 7})},
    ):
        async with TestApp([paid], events=events) as app:
            assert (await app.run(paid, None)).unwrap() == {"cents": 7}


async def test_L50_each_wait_gets_an_event_of_its_own() -> None:
    @process
    async def thrice(_: None) -> list[Any]:
        return [await wait_event("tick") for _ in range(3)]

    async with TestApp([thrice], events={"tick": in_turn(1, 2, 3)}) as app:
        assert (await app.run(thrice, None)).unwrap() == [1, 2, 3]


async def test_what_was_asked_before_a_restart_is_answered_after_it(tmp_path) -> None:
    store = f"sqlite:///{tmp_path / 'remit.db'}"
    async with TestApp(ASKS, store=store) as app:
        execution = await app.start(asks, "ship")
        await app.clock.advance("1h")
        clock = app.clock
    async with TestApp(ASKS, store=store, clock=clock, answers={"ship": {"approved": True}}) as app:
        assert (await app.outcome(execution.id)).unwrap().approved
