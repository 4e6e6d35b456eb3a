"""Fakes stand in for functions only: contract, price, budget, journal and lineage are as they are for the real thing."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import threading
import time
from typing import Any

import pytest
from pydantic import BaseModel

from remit import (
    Budget,
    DefinitionError,
    DomainError,
    MisuseError,
    ProcessRef,
    StoreError,
    SystemFailure,
    TransientError,
    Usage,
    ask,
    call_process,
    current,
    process,
    start_process,
    step,
)
from remit.durable import sleep
from remit.testing import (
    TestApp,
    after,
    assert_called,
    assert_lineage,
    assert_not_called,
    assert_tree,
    hangs,
    in_turn,
)
from tests.testing_kit.shop import SHOP, Label, Parcel, cents_per_gram, classify, keep, order, price, put_back

FR = Parcel(country="FR", grams=2)


# ------------------------------------------------------------------------------------------------- what may be a fake


def _function(country: str) -> int:
    return 7 if country == "FR" else 0


async def _coroutine(country: str) -> int:
    await asyncio.sleep(0)
    return 7


class _Callable:
    def __call__(self, country: str) -> int:
        return 7


@pytest.mark.parametrize(
    "fake",
    [
        7,
        _function,
        _coroutine,
        _Callable(),
        lambda: 7,
        lambda **_: 7,
        in_turn(7),
        after("1s", 7),
        after("1s", _function),
    ],
    ids=str,
)
async def test_anything_that_gives_a_value_may_stand_in(fake) -> None:
    async with TestApp([price], tools={"rate-card": fake}) as app:
        assert (await app.run(price, FR)).unwrap() == 14


@pytest.mark.parametrize(
    "fake", [DomainError("no_rate"), in_turn(DomainError("no_rate")), after("1s", DomainError("no_rate"))], ids=str
)
async def test_an_exception_is_raised(fake) -> None:
    async with TestApp([price], tools={"rate-card": fake}) as app:
        assert (await app.run(price, FR)).error.code == "no_rate"


async def test_a_class_of_exceptions_is_raised_anew_each_time() -> None:
    async with TestApp([price], tools={"rate-card": ConnectionError}) as app:
        outcome = await app.run(price, FR)
        assert outcome.error.code == "retries_exhausted"
        assert len({id(made.error) for made in app.calls}) == 3


async def test_a_function_that_raises_fails_as_the_real_one_would() -> None:
    def fails(country: str) -> int:
        raise LookupError(country)

    async with TestApp([price], tools={"rate-card": fails}) as app:
        outcome = await app.run(price, FR)
        assert (outcome.error.code, outcome.error.details["exception"]) == ("domain_error", "LookupError")
        assert_called(app.calls, "rate-card", times=1)


async def test_L20_a_system_failure_ends_the_chain() -> None:
    async with TestApp(SHOP, tools={"rate-card": SystemFailure("gone")}) as app:
        outcome = await app.run(order, FR)
        assert_tree(
            await app.tree(outcome.execution_id or ""),
            """
            order FAILED_CHILD_WORKFLOW system_failure
              price FAILED system_failure
            """,
        )


async def test_L52_a_fake_of_a_step_uses_no_effects_either() -> None:
    async def asks(country: str) -> int:
        return await ask(int, name="rate")

    async with TestApp([price], tools={"rate-card": asks}) as app:
        assert (await app.run(price, FR)).error.code == "effect_inside_step"


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()], ids=repr)
async def test_what_ends_programs_ends_only_the_execution(error) -> None:
    def ends(country: str) -> int:
        raise error

    async with TestApp([price], tools={"rate-card": ends}) as app:
        assert (await app.run(price, FR)).status == "failed"


async def test_a_sync_fake_runs_in_a_thread_and_knows_where_it_is() -> None:
    seen: list[Any] = []

    def looks(country: str) -> int:
        seen.append((threading.current_thread() is threading.main_thread(), current().process, current().resources))
        return 7

    async with TestApp([price], tools={"rate-card": looks}, resources="desk") as app:
        assert (await app.run(price, FR)).ok
    assert seen == [(False, "price", "desk")]


async def test_L22_a_fake_that_blocks_the_loop_is_cut_off_as_a_step_is(caplog) -> None:
    async def blocks(country: str) -> int:
        time.sleep(3)  # noqa: ASYNC251  # that is the case
        return 7

    began = time.perf_counter()
    with caplog.at_level(logging.CRITICAL, "remit"):
        async with TestApp([price], tools={"rate-card": blocks}) as app:
            assert (await app.run(price, FR)).error.code == "blocked_event_loop"
    assert time.perf_counter() - began < 2.9


async def test_a_fake_that_has_no_more_to_give_says_so() -> None:
    async with TestApp([price], tools={"rate-card": in_turn(7)}) as app:
        assert (await app.run(price, FR)).ok
        outcome = await app.run(price, Parcel(country="JP"))
        assert "asked for once more after in_turn(...) had given all it has: 1" in outcome.error.message


# ---------------------------------------------------------------------------------------------- what stays as it is


async def test_L13_a_result_that_breaks_the_contract_is_a_contract_violation() -> None:
    for fake in ("seven", lambda country: "seven", in_turn(None)):
        async with TestApp([price], tools={"rate-card": fake}) as app:
            assert (await app.run(price, FR)).error.code == "contract_violation"


async def test_L26_L29_price_and_lineage_are_the_tool_s() -> None:
    async with TestApp([price], tools={"rate-card": 7}) as app:
        outcome = await app.run(price, FR)
        assert outcome.usage.own.cost == "0.02"
        assert_lineage(await app.lineage(outcome.execution_id or ""), 'tool rate-card {"country": "FR"} = 7 $0.02')


async def test_L26_a_fake_is_not_called_where_the_budget_has_no_room_for_it() -> None:
    async with TestApp([price], tools={"rate-card": 7}) as app:
        outcome = await app.run(price, FR, budget=Budget(cost="0.01"))
        assert outcome.error.code == "budget_exhausted"
        assert_not_called(app.calls, "rate-card")


async def test_L26_a_model_reports_what_it_used() -> None:
    @process
    async def sorts(text: str) -> Label:
        label, _ = await classify(text)
        return label

    fakes = [(Label(text="a"), Usage(input_tokens=10, output_tokens=5)), ({"text": "a"}, Usage(tokens=15))]
    for fake in fakes:
        async with TestApp([sorts], models={"tiny": fake}) as app:
            outcome = await app.run(sorts, "what")
            assert outcome.unwrap() == Label(text="a")
            assert (outcome.usage.own.tokens, outcome.usage.own.cost) == (15, "15.00")


async def test_L47_a_fake_is_not_called_again_in_replay(tmp_path) -> None:
    @process
    async def patient(_: None) -> int:
        cents = await cents_per_gram("FR")
        await sleep("1d")
        return cents

    store = f"sqlite:///{tmp_path / 'remit.db'}"
    async with TestApp([patient], tools={"rate-card": in_turn(7)}, store=store) as app:
        execution = await app.start(patient, None)
        await app.settle()
        clock = app.clock
    async with TestApp([patient], tools={"rate-card": in_turn()}, store=store, clock=clock) as app:
        assert (await app.outcome(execution.id)).unwrap() == 7
        assert_not_called(app.calls, "rate-card")


# ------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("fakes", "told"),
    [
        ({"tools": {"rate-crad": 7}}, "There is no tool 'rate-crad' to fake: did you mean 'rate-card'?"),
        ({"steps": {"rate-card": 7}}, "it is a tool, so pass it in tools="),
        ({"models": {"big": 7}}, "There is no model 'big' to fake: this app's processes use no models"),
        ({"children": {"paiment": 7}}, "did you mean 'payment'?"),
        ({"children": {"zzz": 7}}, "this app hosts nap, order, pack, paid, price, which call payment, price"),
        ({"tools": {"rate-card": lambda land: 7}}, "asks for land; it is called with country, by these names"),
        ({"tools": {"rate-card": after(1, lambda land: 7)}}, "asks for land"),
        ({"children": {"payment": lambda a, b: 7}}, "takes one parameter, the input, or none"),
    ],
    ids=str,
)
def test_a_fake_of_what_is_not_there_is_refused_with_a_suggestion(fakes, told) -> None:
    with pytest.raises(DefinitionError) as caught:
        TestApp(SHOP, **fakes)
    assert told in str(caught.value)


async def test_steps_are_found_through_functions_closures_classes_and_modules() -> None:
    import tests.testing_kit.shop as module

    @step("by-closure")
    def local() -> int:
        return 1

    class Desk:
        @staticmethod
        async def work() -> int:
            return await local()

    async def through() -> int:
        return await Desk.work() + await module.cents_per_gram("FR")

    @process
    async def far() -> int:
        return await through()

    async with TestApp([far], steps={"by-closure": 5}, tools={"rate-card": 2}) as app:
        assert (await app.run(far)).unwrap() == 7


async def test_what_is_not_called_is_told_from_what_is_misspelt() -> None:
    async with TestApp(SHOP, tools={"rate-card": 7}) as app:
        assert_not_called(app.calls, "payment")
        with pytest.raises(ValueError, match="did you mean 'rate-card'"):
            assert_not_called(app.calls, "rate-crad")


async def test_without_anything_real_what_has_no_fake_is_refused() -> None:
    @process
    async def keeps(sku: str) -> str:
        return await keep(sku)

    async with TestApp([keeps], real=False) as app:
        outcome = await app.run(keeps, "A-1")
        assert "has no fake" in outcome.error.message
    async with TestApp([keeps]) as app:
        assert (await app.run(keeps, "A-1")).unwrap() == "kept A-1"
        assert [(made.name, made.faked, made.result) for made in app.calls] == [("keep", False, "kept A-1")]


# ------------------------------------------------------------------------------------------------------ children


async def test_a_child_that_is_only_called_is_made_up() -> None:
    seen = []

    def pays(request: dict[str, int]) -> str:
        seen.append(request)
        return "paid"

    for fake in (True, pays, lambda: "paid", in_turn("paid"), after("5m", None)):
        async with TestApp(SHOP, tools={"rate-card": 7}, children={"payment": fake}, answers={"approve": True}) as app:
            outcome = await app.run(order, FR)
            assert outcome.unwrap() == "sent for 14 cents"
            assert_called(app.calls, "payment", times=1, having={"input": {"cents": 14}})
            assert_tree(
                await app.tree(outcome.execution_id or ""), "order COMPLETED\n  price\n  payment@1.0.0 COMPLETED"
            )
    assert seen == [{"cents": 14}]


class Wanted(BaseModel):
    sku: str


class Found(BaseModel):
    shelf: str


async def test_a_made_up_child_takes_a_callers_model_as_its_data() -> None:
    inventory = ProcessRef[Wanted, Found]("inventory@^2")

    @process(calls=[inventory])
    async def pick(sku: str) -> str:
        return (await call_process(inventory, Wanted(sku=sku))).unwrap().shelf

    async with TestApp([pick], children={"inventory": lambda wanted: {"shelf": wanted["sku"][:1]}}) as app:
        assert (await app.run(pick, "boots")).unwrap() == "b"
        assert_called(app.calls, "inventory", times=1, having={"input": {"sku": "boots"}})


async def test_a_hosted_child_keeps_its_contract_its_price_and_its_limits() -> None:
    async with TestApp(SHOP, children={"price": 7, "payment": {}}, answers={"approve": True}) as app:
        assert (await app.run(order, FR)).unwrap() == "sent for 7 cents"
        assert_called(app.calls, "price", having={"input": FR})
        assert_not_called(app.calls, "rate-card")
    async with TestApp(SHOP, children={"price": "seven"}) as app:
        assert (await app.run(order, FR)).error.code == "contract_violation"
    async with TestApp(SHOP, children={"price": DomainError("no_rate")}) as app:
        assert (await app.run(order, FR)).unwrap() == "not sent: no_rate"
    async with TestApp(SHOP, children={"price": hangs}) as app:
        assert (await app.run(order, FR)).unwrap() == "not sent: lease_expired"
    async with TestApp(
        SHOP, children={"price": in_turn(TransientError("down"), 8), "payment": 1}, answers={"approve": True}
    ) as app:
        assert (await app.run(order, FR)).unwrap() == "sent for 8 cents"


async def test_a_fake_child_may_wait_and_call_itself() -> None:
    async def asks(parcel: Parcel) -> int:
        await sleep("1d")
        return await ask(int, name="rate", prompt=f"For {parcel.country}?")

    async with TestApp(SHOP, children={"price": asks, "payment": 1}, answers={"rate": 9, "approve": True}) as app:
        assert (await app.run(order, FR)).unwrap() == "sent for 9 cents"


@pytest.mark.parametrize(
    ("versions", "version"), [("^2.1", "2.1.0"), ("*", "1.0.0"), ("0.3.x", "0.3.0"), (">=3 <4", "3.0.0")]
)
async def test_L40_a_made_up_child_has_a_version_that_is_called(versions, version) -> None:
    @process(calls=[f"far@{versions}"])
    async def near() -> str:
        child = await start_process(ProcessRef[int, str](f"far@{versions}"), 1)
        return (await child.outcome()).unwrap()

    async with TestApp([near], children={"far": "there"}) as app:
        outcome = await app.run(near)
        assert outcome.unwrap() == "there"
        assert (await app.tree(outcome.execution_id or "")).children[0].version == version


async def test_L6_a_fake_does_not_make_an_undeclared_call_declared() -> None:
    @process
    async def strays() -> Any:
        return (await call_process("price", FR)).error.code

    async with TestApp([strays, price], children={"price": 7}) as app:
        assert (await app.run(strays)).unwrap() == "undeclared_call"


# -------------------------------------------------------------------------------------------------- compensations


@process("doomed", saga=True)
async def doomed(sku: str) -> str:
    await keep(sku)
    await sleep("1h")
    raise DomainError("sold_out")


async def test_L37_a_faked_step_has_nothing_to_take_back() -> None:
    async with TestApp([doomed], steps={"keep": "kept"}) as app:
        execution = await app.start(doomed, "A-1")
        assert (await execution.outcome()).error.code == "sold_out"
        assert (await execution.compensated()).shown_status == "FAILED_ROLLED_BACK"
        assert_called(app.calls, "put_back", times=1, having={"result": "kept", "sku": "A-1"})


async def test_L37_a_compensation_has_a_fake_of_its_own() -> None:
    taken = []

    def takes(result: str, sku: str) -> None:
        taken.append((result, sku))

    async with TestApp([doomed], compensations={"put_back": takes}) as app:
        execution = await app.start(doomed, "A-1")
        assert (await execution.compensated()).compensation == "done"
        assert taken == [("kept A-1", "A-1")]


async def test_L37_pauses_between_tries_of_a_compensation_pass() -> None:
    began = time.perf_counter()
    async with TestApp(
        [doomed], compensations={"put_back": in_turn(ConnectionError("no"), ConnectionError("no"), None)}
    ) as app:
        execution = await app.start(doomed, "A-1")
        assert (await execution.compensated()).compensation == "done"
        assert len(app.calls.of("put_back")) == 3
    assert time.perf_counter() - began < 2


@process("calls_doomed", calls=[doomed], saga=True)
async def calls_doomed(sku: str) -> str:
    return (await call_process(doomed, sku)).unwrap()


@pytest.mark.parametrize("broken", [in_turn(*[ConnectionError("no")] * 3), hangs], ids=["it fails", "it hangs"])
async def test_L37_time_passes_for_a_caller_that_waits_for_its_childs_rollback(broken: Any) -> None:
    async with TestApp([doomed, calls_doomed], compensations={"put_back": broken}) as app:
        execution = await app.start(calls_doomed, "A-1")
        assert (await asyncio.wait_for(execution.compensated(), 10)).compensation == "failed"


async def test_L37_a_compensation_that_hangs_meets_its_ttl() -> None:
    async with TestApp([doomed], compensations={"put_back": hangs}) as app:
        execution = await app.start(doomed, "A-1")
        assert (await execution.compensated()).compensation == "failed"
        assert put_back.__name__ in app.calls.known


# ------------------------------------------------------------------------------------------- nothing is left behind


async def test_a_test_that_fails_in_the_middle_leaves_nothing_behind() -> None:
    loop = asyncio.get_running_loop()
    before = (asyncio.all_tasks(), gc.get_threshold(), loop.get_task_factory(), signal.getsignal(signal.SIGURG))
    with pytest.raises(RuntimeError, match="in the middle"):
        async with TestApp(SHOP, tools={"rate-card": in_turn(7, hangs)}, answers={"approve": after("1d", True)}) as app:
            for country in ("FR", "JP"):
                await app.start(order, Parcel(country=country))
            await app.settle()
            waiting = asyncio.ensure_future(app.outcome("exec_" + "0" * 24))
            raise RuntimeError("in the middle")
    with pytest.raises(Exception, match="exec_0000"):
        await waiting
    assert (asyncio.all_tasks(), gc.get_threshold(), loop.get_task_factory(), signal.getsignal(signal.SIGURG)) == before
    assert app.clock.inhabitants == ()
    assert [tree.splitlines()[0] for tree in app.last_trees] == [
        "order WAITING_HUMAN_INPUT $0.02",
        "order PENDING_SUB_WORKFLOW",
    ]
    assert not [each for each in threading.enumerate() if each.name.startswith("remit")]


async def test_a_store_that_breaks_leaves_the_test_its_own_error(tmp_path, monkeypatch) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        async with TestApp([price], tools={"rate-card": 7}) as app:
            await app.run(price, FR)

            def broken(*_arguments: Any, **_terms: Any) -> Any:
                raise StoreError("the disk is gone")

            monkeypatch.setattr(app.engine.store, "listing", broken)
            raise RuntimeError("in the middle")
    assert app.last_trees == ["The trees cannot be read: the disk is gone"]
    with pytest.raises(MisuseError, match="not open"):
        _ = app.engine
