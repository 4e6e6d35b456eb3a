"""Three classes of errors: retried by the invocation layer, decided by the parent, or the end of the chain (L16, L17, L18)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from remit import (
    ContractViolation,
    DomainError,
    ErrorClass,
    InvalidInput,
    Limits,
    Remit,
    Retry,
    SystemFailure,
    TransientError,
    ask,
    call_process,
    current,
    process,
    step,
)
from remit.durable import sleep
from remit.errors import CODES
from tests.laws.scene import every, open_store, until, wait_until

FAST = Retry(attempts=3, first=0.001, longest=0.002)
runs: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    runs.clear()


class Http(Exception):
    """What a client library raises: a status on the error, or on its response."""

    def __init__(self, status: int, *, response: bool = False) -> None:
        super().__init__(f"HTTP {status}")
        if response:
            self.response = type("Response", (), {"status_code": status})()
        else:
            self.status_code = status


class OwnError(Exception):
    """An exception of the author's."""


async def outcome_of(body: Any, *others: Any, limits: Limits | None = None, **options: Any) -> Any:
    """How a root ends, and its trace."""
    root = process("root", calls=[each.name for each in others], **{"retry": FAST, **options})(body)
    async with Remit(":memory:", processes=[root, *others], limits=limits) as app:
        started = await app.start(root)
        outcome = await started.outcome(10)
        return outcome, await every(app, started.id), await app.alerts()


# -- L16, L17 -------------------------------------------------------------------------------------------------------

CLASSES = [
    (TransientError("x"), "TRANSIENT"),
    (DomainError("x"), "DOMAIN"),
    (InvalidInput("x"), "DOMAIN"),
    (SystemFailure("x"), "SYSTEM"),
    (ContractViolation("x"), "SYSTEM"),
    (ConnectionError("x"), "TRANSIENT"),
    (ConnectionResetError("x"), "TRANSIENT"),
    (BrokenPipeError("x"), "TRANSIENT"),
    (TimeoutError("x"), "TRANSIENT"),
    (Http(429), "TRANSIENT"),
    (Http(500), "TRANSIENT"),
    (Http(503, response=True), "TRANSIENT"),
    (Http(599), "TRANSIENT"),
    (Http(404), "DOMAIN"),
    (Http(428, response=True), "DOMAIN"),
    (Http(600), "DOMAIN"),
    (ValueError("x"), "DOMAIN"),
    (OSError("x"), "DOMAIN"),
    (OwnError("x"), "DOMAIN"),
    (KeyError("x"), "DOMAIN"),
    (AssertionError("x"), "DOMAIN"),
]


@pytest.mark.parametrize("where", ["body", "step", "sync step"])
@pytest.mark.parametrize(("error", "expected"), CLASSES, ids=lambda each: each if isinstance(each, str) else repr(each))
async def test_L17_every_exception_has_its_class_wherever_it_is_raised(error, expected, where):
    @step
    async def fails() -> None:
        runs["fails"] += 1
        raise error

    @step
    def fails_in_thread() -> None:
        runs["fails"] += 1
        raise error

    async def body() -> None:
        if where == "body":
            runs["fails"] += 1
            raise error
        await (fails() if where == "step" else fails_in_thread())

    outcome, there, _ = await outcome_of(body)
    found = outcome.error
    if expected == "TRANSIENT":
        assert (found.code, str(found.error_class)) == ("retries_exhausted", "DOMAIN")
        assert CODES[found.details["last"]["code"]].error_class is ErrorClass.TRANSIENT
        assert runs["fails"] == there[""].attempt == 3
    else:
        assert str(found.error_class) == expected
        assert runs["fails"] == there[""].attempt == 1


async def test_L16_errors_are_machine_readable_and_name_origin_and_attempt():
    @process("inner", retry=FAST)
    async def inner() -> None:
        runs["inner"] += 1
        if runs["inner"] == 1:
            raise TransientError("first")
        raise DomainError("No stock left", code="out_of_stock", sku="A-1", left=0)

    async def body() -> list[Any]:
        outcome = await call_process(inner)
        assert outcome.error is not None
        error = outcome.error
        found = [str(error.error_class), error.code, error.message, error.details, error.origin, error.attempt]
        return [*found, outcome.execution_id, outcome.status]

    outcome, there, _ = await outcome_of(body, inner)
    child = there[".1"].execution_id
    expected = ["DOMAIN", "out_of_stock", "No stock left", {"sku": "A-1", "left": 0}, child, 2, child, "failed"]
    assert outcome.value == expected
    assert there[".1"].error.details == {"sku": "A-1", "left": 0}


def test_L16_one_table_gives_each_codes_class_and_rejections_are_domain_but_two():
    rejections = ["depth_exceeded", "cycle_detected", "undeclared_call", "unknown_process", "no_matching_version"]
    rejections += ["invalid_input", "policy_denied", "fanout_exceeded", "budget_exceeded", "idempotency_conflict"]
    assert {CODES[code].error_class for code in rejections} == {ErrorClass.DOMAIN}
    assert {CODES[code].error_class for code in ("cross_tenant", "region_violation")} == {ErrorClass.SYSTEM}


async def test_L17_a_process_may_add_a_classifier_and_the_projects_own_errors_keep_their_class():
    def classifier(error: BaseException) -> ErrorClass | None:
        if isinstance(error, OwnError):
            return ErrorClass.TRANSIENT
        return ErrorClass.DOMAIN if isinstance(error, DomainError | ConnectionError | TransientError) else None

    def raising(error: Exception) -> Any:
        async def body() -> None:
            runs["body"] += 1
            raise error

        return body

    for error, attempts in ((OwnError("x"), 3), (ConnectionError("x"), 1), (TimeoutError("x"), 3)):
        runs.clear()
        await outcome_of(raising(error), classifier=classifier)
        assert runs["body"] == attempts, error
    runs.clear()
    await outcome_of(raising(TransientError("x")), classifier=classifier)
    assert runs["body"] == 3


# -- L18: retry -----------------------------------------------------------------------------------------------------


@step
async def counted(name: str) -> str:
    runs[name] += 1
    return name


@step
async def flaky(name: str, failures: int) -> str:
    runs[name] += 1
    if runs[name] <= failures:
        raise ConnectionError(f"{name} {runs[name]}")
    return name


@process("quick")
async def quick(name: str) -> str:
    return await counted(f"quick {name}")


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_L18_an_attempt_resumes_from_the_journal_and_finished_work_does_not_run_twice(failures):
    async def body() -> list[str]:
        found = [await counted("before"), (await call_process(quick, "child")).unwrap()]
        found.append(await flaky("flaky", failures))
        return [*found, await counted("after")]

    outcome, there, alerts = await outcome_of(body, quick)
    assert outcome.value == ["before", "quick child", "flaky", "after"]
    assert runs == {"before": 1, "quick child": 1, "flaky": failures + 1, "after": 1}
    assert set(there) == {"", ".1"}
    assert there[""].attempt == failures + 1
    assert alerts == []


async def test_L18_what_a_body_did_about_a_failure_before_it_raised_is_no_hindrance_to_the_next_attempt():
    async def body() -> str:
        await counted("before")
        try:
            return await flaky("flaky", 1)
        except TransientError:
            await counted("cleanup")
            (await call_process(quick, "cleanup")).unwrap()
            raise

    outcome, _, alerts = await outcome_of(body, quick)
    assert (outcome.status, outcome.value, alerts) == ("completed", "flaky", [])
    assert runs["flaky"] == 2


async def test_L18_one_branch_that_fails_leaves_the_others_their_finished_work():
    async def body() -> list[str]:
        async def one(number: int) -> str:
            await counted(f"first {number}")
            return await flaky(f"flaky {number}", 1 if number == 3 else 0)

        return list(await asyncio.gather(*(one(number) for number in range(6))))

    outcome, _, alerts = await outcome_of(body)
    assert (outcome.value, alerts) == ([f"flaky {number}" for number in range(6)], [])
    assert all(runs[f"first {number}"] == 1 for number in range(6))
    assert runs["flaky 3"] == 2


async def test_L18_a_transient_failure_a_body_handles_itself_is_recorded_and_not_retried():
    async def body() -> str:
        try:
            return await flaky("flaky", 9)
        except ConnectionError:
            return await counted("instead")
        except TransientError:
            return await counted("instead")

    outcome, there, _ = await outcome_of(body)
    assert (outcome.value, there[""].attempt, runs["flaky"]) == ("instead", 1, 1)


async def test_L18_exhausted_is_domain_and_never_retried_again_further_up():
    @process("bottom", retry=FAST)
    async def bottom() -> str:
        return await flaky("bottom", 99)

    @process("middle", calls=[bottom], retry=FAST)
    async def middle() -> str:
        runs["middle"] += 1
        return (await call_process(bottom)).unwrap()

    async def body() -> str:
        runs["root"] += 1
        return (await call_process(middle)).unwrap()

    outcome, there, _ = await outcome_of(body, middle, bottom)
    assert (outcome.status, outcome.error.code) == ("failed", "retries_exhausted")
    assert str(outcome.error.error_class) == "DOMAIN"
    assert outcome.error.details["attempts"] == 3
    assert runs["bottom"] == 3
    assert [there[each].attempt for each in ("", ".1", ".1.1")] == [1, 1, 3]


async def test_L18_domain_and_system_are_not_retried_by_themselves():
    for error in (DomainError("x"), SystemFailure("x")):

        async def body(error: Exception = error) -> None:
            runs["body"] += 1
            raise error

        async def plain() -> None:
            await body()

        outcome, there, _ = await outcome_of(plain)
        assert (runs["body"], there[""].attempt, outcome.status) == (1, 1, "failed")
        runs.clear()


async def test_L18_the_calls_retry_comes_before_the_callees():
    @process("stubborn", retry=Retry(attempts=5, first=0.001))
    async def stubborn() -> str:
        return await flaky("stubborn", 99)

    async def body() -> list[str]:
        outcome = await call_process(stubborn, retry=Retry(attempts=2, first=0.001))
        return [outcome.error.code if outcome.error else ""]

    await outcome_of(body, stubborn)
    assert runs["stubborn"] == 2


async def test_L18_attempts_default_to_three_with_growing_jittered_pauses(monkeypatch):
    monkeypatch.setattr("remit.engine.ending.endings.random", lambda: 0.02)
    started = asyncio.get_running_loop().time()

    async def body() -> str:
        return await flaky("flaky", 99)

    root = process("root")(body)
    async with Remit(":memory:", processes=[root]) as app:
        outcome = await (await app.start(root)).outcome(10)
    assert (runs["flaky"], outcome.error.code) == (3, "retries_exhausted")
    assert 0.02 * (0.5 + 1.0) - 0.005 <= asyncio.get_running_loop().time() - started < 1.0


async def _second_attempt(app: Remit, id_: str) -> bool:
    return (await app.get(id_)).attempt == 2


async def test_L18_a_pause_before_an_attempt_survives_a_restart(tmp_path):
    @process("patient", retry=Retry(attempts=2, first=0.4))
    async def patient() -> str:
        return await flaky("flaky", 1)

    async with Remit(open_store(tmp_path), processes=[patient]) as app:
        root = await app.start(patient)
        await until(lambda: _second_attempt(app, root.id))
    async with Remit(open_store(tmp_path), processes=[patient]) as app:
        assert (await app.outcome(root.id, 5)).unwrap() == "flaky"
    assert runs["flaky"] == 2


@pytest.mark.parametrize("handled", [True, False])
async def test_L15_L18_a_5_by_3_tree_whose_leaves_always_fail_ends_within_its_attempts(handled):
    @process("leaf", retry=FAST)
    async def leaf(name: str) -> None:
        runs[name] += 1
        raise ConnectionError(name)

    @process("branch", calls=[leaf], retry=FAST)
    async def branch(number: int) -> int:
        runs[f"branch {number}"] += 1
        outcomes = await asyncio.gather(*(call_process(leaf, f"leaf {number}.{each}") for each in range(3)))
        for outcome in outcomes:
            if not handled:
                outcome.unwrap()
            assert outcome.error is not None
            assert outcome.error.code == "retries_exhausted"
        return len(outcomes)

    async def body() -> int:
        outcomes = await asyncio.gather(*(call_process(branch, number) for number in range(5)))
        return sum(outcome.unwrap() for outcome in outcomes)

    outcome, there, _ = await outcome_of(body, branch, leaf)
    assert outcome.status == ("completed" if handled else "failed")
    assert len(there) == 1 + 5 + 15
    leaves = {name: count for name, count in runs.items() if name.startswith("leaf")}
    assert len(leaves) == 15
    assert set(leaves.values()) == {3}
    assert all(runs[f"branch {number}"] == 1 for number in range(5))
    assert sum(record.attempt for record in there.values()) == 1 + 5 + 15 * 3


async def test_L15_max_attempts_bounds_all_attempts_of_a_trace():
    @process("leaf", retry=Retry(attempts=1_000, first=0.0005, longest=0.001))
    async def leaf(number: int) -> None:
        runs["leaf"] += 1
        raise ConnectionError

    async def body() -> list[str]:
        outcomes = await asyncio.gather(*(call_process(leaf, number) for number in range(4)))
        return [outcome.error.code if outcome.error else "" for outcome in outcomes]

    outcome, there, _ = await outcome_of(body, leaf, limits=Limits(max_attempts=30))
    assert outcome.value == ["attempts_exceeded"] * 4
    assert sum(record.attempt for record in there.values()) == 30 == runs["leaf"] + 1


async def test_L16_a_childs_attempt_is_known_inside_only_through_its_record():
    assert not hasattr(current, "attempt")

    async def body() -> list[str]:
        return sorted(name for name in dir(current()) if not name.startswith("_"))

    outcome, _, _ = await outcome_of(body)
    assert not {"attempt", "now", "remaining", "budget"} & set(outcome.value)


async def test_L18_a_child_that_runs_when_another_branch_fails_goes_on_and_the_next_attempt_awaits_it() -> None:
    tries: list[int] = []

    @step
    async def fails_once() -> str:
        await asyncio.sleep(0.05)
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError("down")
        return "worked"

    @process("child")
    async def child() -> str:
        await sleep(0.3)
        return "went on"

    @process("parent", calls=[child], retry=Retry(attempts=3, first=0.01, longest=0.01))
    async def parent() -> list[str]:
        outcome, worked = await asyncio.gather(call_process(child), fails_once())
        return [outcome.unwrap(), worked]

    async with Remit(":memory:", processes=[parent, child]) as app:
        execution = await app.start(parent)
        assert (await execution.outcome(timeout=5)).unwrap() == ["went on", "worked"]
        tree = await app.tree(execution.id)
        assert (tree.attempt, [each.attempt for each in tree.children]) == (2, [1])


async def test_L34_what_was_left_when_the_execution_failed_is_done_in_the_next_attempt() -> None:
    runs: list[str] = []
    broken = {"broken"}

    @step
    async def works(name: str) -> str:
        runs.append(name)
        await asyncio.sleep(0.05)
        if name in broken:
            raise DomainError("out_of_order")
        return name

    async def slow() -> str:
        await asyncio.sleep(0)
        runs.append("slow begins")
        return await works_slowly()

    @step
    async def works_slowly() -> str:
        runs.append("slow")
        await asyncio.sleep(0.2)
        return "slow"

    @process("both")
    async def both() -> list[str]:
        tasks = [asyncio.create_task(works("broken")), asyncio.create_task(slow()), asyncio.create_task(answered())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task.done() and task.exception() is not None]
        if failed:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await failed[0]
        return [task.result() for task in tasks]

    async def answered() -> str:
        return str(await ask(str, name="word"))

    async with Remit(":memory:", processes=[both]) as app:
        execution = await app.start(both)
        assert not (await execution.outcome(timeout=5)).ok
        broken.clear()
        await app.retry(execution.id)
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        await app.answer(execution.id, "sesame")
        assert (await execution.outcome(timeout=5)).unwrap() == ["broken", "slow", "sesame"]
        assert runs.count("slow") == 2
