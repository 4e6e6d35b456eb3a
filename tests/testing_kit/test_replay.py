"""Today's code against recorded histories: what could not go on is found, with the recorded and the actual call (L11)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from remit import (
    Budget,
    DomainError,
    InvalidInput,
    MisuseError,
    Remit,
    TransientError,
    Usage,
    ask,
    call_process,
    changed,
    charge,
    continue_as,
    process,
    start_process,
    step,
)
from remit.durable import now, random, schedule, sleep, uuid4, wait_event
from remit.testing import HistoryMismatch, TestApp, export_history, hangs, in_turn, replay
from tests.testing_kit.shop import SHOP, Parcel, order, price

FR = Parcel(country="FR", grams=2)


async def recorded(processes: list[Any], target: Any, value: Any, **options: Any) -> dict[str, Any]:
    """The history of one run to its end."""
    async with TestApp(processes, **options) as app:
        outcome = await app.run(target, value)
        return await export_history(app, outcome.execution_id or "")


async def recorded_so_far(processes: list[Any], target: Any, value: Any, **options: Any) -> dict[str, Any]:
    """The history of one run until it waits for time."""
    async with TestApp(processes, **options) as app:
        execution = await app.start(target, value)
        await app.settle()
        return await export_history(app, execution.id)


@step
async def note(text: str) -> str:
    return f"noted {text}"


@process("leaf")
async def leaf(number: int) -> int:
    if number == 3:
        raise DomainError("unlucky")
    return number


# ------------------------------------------------------------------------------------------ what can go on, goes on


async def test_L11_the_code_that_recorded_a_history_continues_it() -> None:
    options: dict[str, Any] = {"tools": {"rate-card": 7}, "children": {"payment": True}}
    ended = await recorded(SHOP, order, FR, answers={"approve": True}, **options)
    (whole, below) = await replay(ended, SHOP)
    assert (whole.process, whole.status, whole.goes_on_with) == ("order", "COMPLETED", ())
    assert whole.result == whole.recorded_result == "sent for 14 cents"
    assert (below.process, below.result) == ("price", 14)
    waiting = await recorded_so_far(SHOP, order, FR, **options)
    (waits, _) = await replay(waiting, SHOP)
    assert (waits.status, waits.goes_on_with) == ("WAITING_HUMAN_INPUT", ())


@process("everything", calls=[leaf])
async def everything(name: str) -> list[Any]:
    found: list[Any] = [await note(name), (await now()).isoformat(), str(await uuid4()), await random()]
    await charge(Usage(tokens=5))
    found += await asyncio.gather(note("a"), note("b"), sleep("1h"))
    outcomes = await asyncio.gather(*(call_process(leaf, number) for number in (1, 2, 3)))
    found += [outcome.value for outcome in outcomes]
    child = await start_process(leaf, 4)
    found += [await child.status(), (await child.outcome()).value]
    found += [(await call_process("nowhere", 1)).error.code, changed("new") and 1]
    found.append(await ask(bool, name="well"))
    found.append(await wait_event("go"))
    async with asyncio.TaskGroup() as group:
        first, second = group.create_task(sleep("2h")), group.create_task(note("c"))
    assert (first.done(), second.done()) == (True, True)
    return found


async def test_L11_every_effect_is_answered_from_the_file(tmp_path) -> None:
    async with TestApp([everything, leaf], answers={"well": True}, events={"go": {"far": 1}}) as app:
        outcome = await app.run(everything, "x")
        file = tmp_path / "everything.json"
        returned = await export_history(app, outcome.execution_id or "", file)
    assert json.loads(file.read_text()) == returned
    again = await replay(file, [everything, leaf])
    assert [each.process for each in again] == ["everything", *["leaf"] * 4]
    assert again[0].result == outcome.unwrap()
    assert [each.status for each in again] == ["COMPLETED", "COMPLETED", "COMPLETED", "FAILED", "COMPLETED"]


async def test_L11_nothing_is_done_while_a_history_is_replayed(tmp_path) -> None:
    done: list[str] = []

    @step
    def writes(text: str) -> str:
        done.append(text)
        return text

    @process("writer", calls=[leaf])
    async def writer(_: None) -> str:
        await writes("a")
        await sleep("1d")
        await writes("b")
        return (await call_process(leaf, 1)).status

    history = await recorded_so_far([writer, leaf], writer, None)
    (waits,) = await replay(history, [writer, leaf])
    assert (waits.status, waits.goes_on_with) == ("PENDING_ASYNC", ())
    ended = await recorded([writer, leaf], writer, None)
    assert len(await replay(ended, [writer, leaf])) == 2
    assert done == ["a", "a", "b"]


async def test_L11_steps_after_all_that_was_recorded_are_no_mismatch_and_are_named() -> None:
    @process("grows")
    async def before(_: None) -> None:
        await note("a")

    @process("grows", calls=[leaf])
    async def after(_: None) -> None:
        await note("a")
        await asyncio.gather(note("b"), call_process(leaf, 7))

    (grown,) = await replay(await recorded([before], before, None), [after, leaf])
    assert grown.goes_on_with == ('step note({"text":"b"})', "call leaf(7)")


async def test_L11_nothing_that_is_new_is_driven() -> None:
    driven: list[str] = []

    @process("grows")
    async def before(_: None) -> None:
        await sleep("1h")

    @process("grows", calls=["child"])
    async def after(_: None) -> None:
        await sleep("1h")
        await asyncio.gather(start_process("child", 1), call_process("child", 2), schedules())

    async def schedules() -> None:
        await schedule("daily", "@daily", "child", 3)

    @process("child")
    async def child(number: int) -> None:
        driven.append(str(number))

    (grown,) = await replay(await recorded([before], before, None), [after, child])
    assert grown.goes_on_with[:2] == ("call child(1)", "call child(2)")
    assert len(grown.goes_on_with) == 3
    assert driven == []


async def test_L11_an_open_step_is_where_the_history_ends() -> None:
    @process("stuck")
    async def stuck(_: None) -> str:
        await note("a")
        return await note("b")

    history = await recorded_so_far([stuck], stuck, None, steps={"note": in_turn("noted", hangs)})
    (open_,) = await replay(history, [stuck])
    assert open_.goes_on_with == ('step note({"text":"b"})',)


async def test_L18_what_was_tried_again_replays_with_its_last_attempt() -> None:
    fake = in_turn(TransientError("down"), TransientError("down"), 7)
    history = await recorded([price], price, FR, tools={"rate-card": fake})
    (again,) = await replay(history, [price])
    assert again.result == 14
    gone = await recorded([price], price, FR, tools={"rate-card": TransientError("down")})
    (failed,) = await replay(gone, [price])
    assert failed.status == "FAILED"


async def test_L48_a_fresh_history_begins_where_the_former_one_was_left() -> None:
    @process("counts")
    async def counts(left: int) -> int:
        await note(str(left))
        if left:
            continue_as(left - 1)
        return left

    (again,) = await replay(await recorded([counts], counts, 3), [counts])
    assert (again.status, again.result) == ("COMPLETED", 0)


async def test_L37_a_rolled_back_execution_is_not_rolled_back_again() -> None:
    undone: list[str] = []

    def undo(result: str, text: str) -> None:
        undone.append(text)

    @step(compensate=undo)
    def does(text: str) -> str:
        return text

    @process("saga", saga=True)
    async def saga(_: None) -> None:
        await does("a")
        raise DomainError("no")

    async with TestApp([saga]) as app:
        execution = await app.start(saga, None)
        assert (await execution.compensated()).compensation == "done"
        history = await export_history(app, execution.id)
    (again,) = await replay(history, [saga])
    assert again.status == "FAILED"
    assert undone == ["a"]


async def test_L26_a_history_of_a_tight_budget_needs_none() -> None:
    async with TestApp([price], tools={"rate-card": 7}) as app:
        outcome = await app.run(price, FR, budget=Budget(cost="0.02"))
        history = await export_history(app, outcome.execution_id or "")
    assert (await replay(history, [price]))[0].status == "COMPLETED"


async def test_a_child_s_history_stands_on_its_own() -> None:
    async with TestApp(SHOP, tools={"rate-card": 7}, children={"payment": 1}, answers={"approve": True}) as app:
        outcome = await app.run(order, FR)
        history = await export_history(app, f"{outcome.execution_id}.1")
    (again,) = await replay(history, [price])
    assert (again.execution_id, again.result) == (f"{outcome.execution_id}.1", 14)


# ------------------------------------------------------------------------------------------------ what cannot go on


def _version(body: Any, **terms: Any) -> Any:
    return process("changes", calls=[leaf, "other"], **terms)(body)


async def _first(_: None) -> int:
    await note("a")
    return (await call_process(leaf, 1)).unwrap()


async def _other_input(_: None) -> int:
    await note("a")
    return (await call_process(leaf, 2)).unwrap()


async def _other_step(_: None) -> int:
    await note("b")
    return (await call_process(leaf, 1)).unwrap()


async def _step_before(_: None) -> int:
    await note("z")
    return await _first(None)


async def _less(_: None) -> int:
    await note("a")
    return 1


async def _other_target(_: None) -> int:
    await note("a")
    return (await call_process("other", 1)).unwrap()


async def _other_order(_: None) -> int:
    await asyncio.gather(call_process(leaf, 1), note("zzz"), note("a"))
    return 1


@pytest.mark.parametrize(
    ("body", "recorded_call", "actual_call"),
    [
        (_other_input, "call leaf(1)", "call leaf(2)"),
        (_other_step, 'step note({"text":"a"})', 'step note({"text":"b"})'),
        (_step_before, 'step note({"text":"a"})', 'step note({"text":"z"})'),
        (_other_target, "call leaf(1)", "call other(1)"),
        (_less, "call leaf(1)", "the code no longer comes to it"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
async def test_L11_an_incompatible_change_is_told_with_both_calls(body, recorded_call, actual_call) -> None:
    before = _version(_first)
    history = await recorded([before, leaf], before, None)
    with pytest.raises(HistoryMismatch) as caught:
        await replay(history, [_version(body), leaf, process("other")(_plain)])
    told = str(caught.value)
    assert told.startswith("changes 1.0.0 (exec_")
    assert f"recorded: {recorded_call}" in told
    assert f"actual:   {actual_call}" in told
    assert caught.value.details["recorded"][0]["effect"] == recorded_call


async def _plain(value: int) -> int:
    return value


async def test_L11_where_a_call_s_input_differs_is_pointed_at() -> None:
    before, after = _version(_first), _version(_other_step)
    with pytest.raises(HistoryMismatch, match='/text: expected "a", is "b"'):
        await replay(await recorded([before, leaf], before, None), [after, leaf])


async def test_L11_branches_in_another_order_are_the_same() -> None:
    before = _version(_first)
    history = await recorded([before, leaf], before, None)
    (again, _) = await replay(history, [_version(_other_order), leaf])
    assert again.goes_on_with == ('step note({"text":"zzz"})',)


async def test_L11_a_marked_branch_leaves_old_histories_alone() -> None:
    async def marked(_: None) -> int:
        await note("b" if changed("b-instead") else "a")
        return (await call_process(leaf, 1)).unwrap()

    before, after = _version(_first), _version(marked)
    assert await replay(await recorded([before, leaf], before, None), [after, leaf])
    assert await replay(await recorded([after, leaf], after, None), [after, leaf])
    with pytest.raises(HistoryMismatch):
        await replay(await recorded([after, leaf], after, None), [before, leaf])


async def test_L11_a_version_that_nobody_continues_is_told() -> None:
    history = await recorded([_version(_first), leaf], _version(_first), None)
    with pytest.raises(HistoryMismatch, match=r"no code continues this version; there is 1\.1\.0"):
        await replay(history, [_version(_first, version="1.1.0"), leaf])
    assert await replay(history, [_version(_first, version="1.1.0", resumes="^1.0"), leaf])


async def test_L13_an_input_or_a_child_s_result_that_no_longer_fits_is_told() -> None:
    async def stricter(_: int) -> int:
        return await _first(None)

    before = _version(_first)
    history = await recorded([before, leaf], before, None)
    with pytest.raises(HistoryMismatch, match="fails where its history goes on"):
        await replay(history, [_version(stricter), leaf])

    @process("leaf")
    async def wordy(number: int) -> str:
        return str(number)

    async def by_name(_: None) -> int:
        await note("a")
        return int((await call_process("leaf", 1)).unwrap())

    with pytest.raises(HistoryMismatch, match="contract_violation"):
        await replay(history, [_version(by_name), wordy])


async def test_code_that_fails_where_it_did_not_is_told_and_the_other_way_round_is_fine() -> None:
    async def fails(_: None) -> int:
        await _first(None)
        raise DomainError("no_more")

    good, bad = _version(_first), _version(fails)
    with pytest.raises(HistoryMismatch, match="recorded: COMPLETED\n    actual:   FAILED no_more"):
        await replay(await recorded([good, leaf], good, None), [bad, leaf])
    (mended, _) = await replay(await recorded([bad, leaf], bad, None), [good, leaf])
    assert mended.status == "COMPLETED"


async def test_every_execution_that_cannot_go_on_is_told() -> None:
    @process("changes", calls=[leaf])
    async def again(_: None) -> int:
        return (await call_process(leaf, 9)).unwrap()

    @process("leaf")
    async def busy(number: int) -> int:
        raise DomainError("busy")

    before = _version(_first)
    with pytest.raises(HistoryMismatch) as caught:
        await replay(await recorded([before, leaf], before, None), [again, busy])
    assert len(caught.value.details["each"]) == 2


# ---------------------------------------------------------------------------------------------------------- files


async def test_processes_that_are_not_passed_are_left_out() -> None:
    history = await recorded(
        SHOP, order, FR, tools={"rate-card": 7}, children={"payment": 1}, answers={"approve": True}
    )
    assert [each.process for each in await replay(history, [price])] == ["price"]
    with pytest.raises(MisuseError, match="The history is of order, payment, price"):
        await replay(history, [leaf])


async def test_what_is_no_history_is_told(tmp_path) -> None:
    (tmp_path / "list.json").write_text("[]")
    for history in ({}, {"remit_history": 99, "executions": []}, tmp_path / "list.json"):
        with pytest.raises(InvalidInput, match="no history that this remit can read"):
            await replay(history, [leaf])


async def test_an_unknown_execution_has_no_history() -> None:
    async with TestApp([leaf]) as app:
        with pytest.raises(MisuseError) as caught:
            await export_history(app, "exec_" + "0" * 24)
        assert caught.value.code == "unknown_execution"


@step
async def log_in(password: str) -> dict[str, str]:
    return {"access_token": "t-" + password}


@step
async def use(access_token: str) -> str:
    return "used"


@process("secretive")
async def secretive(name: str) -> str:
    session = await log_in("s3cret")
    return await use(session["access_token"])


async def test_L29_secrets_are_redacted_unless_the_code_computes_with_them() -> None:
    async with TestApp([secretive]) as app:
        outcome = await app.run(secretive, "Ada")
        redacted = await export_history(app, outcome.execution_id or "")
        whole = await export_history(app, outcome.execution_id or "", redacted=False)
    assert "s3cret" not in json.dumps(redacted)
    assert "s3cret" in json.dumps(whole)
    with pytest.raises(HistoryMismatch, match="export with redacted=False"):
        await replay(redacted, [secretive])
    assert (await replay(whole, [secretive]))[0].result == "used"


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_a_store_that_another_process_drives_is_exported_by_its_url(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'remit.db'}"
    async with Remit(url, processes=[leaf]) as app:
        execution = await app.start(leaf, 5)
        assert (await execution.outcome(timeout=5)).ok
        file = tmp_path / "leaf.json"
        command = [sys.executable, "-m", "remit.testing", "export", url, execution.id, str(file)]
        ran = _run(command)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert json.loads(file.read_text()) == await export_history(app, execution.id)
    assert (await replay(file, [leaf]))[0].result == 5
    printed = _run(command[:-1])
    assert json.loads(printed.stdout) == json.loads(file.read_text())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export", ":memory:", "exec_" + "0" * 24], "no execution to export"),
        (["export"], "usage"),
        (["export", "postgres://there", "exec_0"], "no store Remit knows"),
    ],
)
def test_an_export_that_cannot_be_made_is_told(arguments, told) -> None:
    command = [sys.executable, "-m", "remit.testing", *arguments]
    ran = _run(command)
    assert (ran.returncode, "Traceback" in ran.stderr) == (2, False)
    assert told in ran.stderr
