"""Branches that fail together: how the execution is judged, and what a retry makes anew (L17, L18, L19, L34)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from remit import DomainError, Remit, Retry, TransientError, call_process, process, step
from tests.laws.scene import every

broken: set[str] = set()
runs: list[str] = []


@pytest.fixture(autouse=True)
def _mended() -> None:
    broken.clear()
    runs.clear()


@step
async def work(name: str) -> str:
    runs.append(name)
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name


@step
async def shaky(name: str) -> str:
    """Fails TRANSIENT the first time."""
    runs.append(name)
    await asyncio.sleep(0.02)
    if runs.count(name) == 1:
        raise TransientError(f"{name} is busy")
    return name


@process("part")
async def part(name: str) -> str:
    return await work(name)


async def _unwrapped(name: str) -> str:
    return (await call_process(part, name)).unwrap()


@process("gathers", calls=[part])
async def gathers(names: list[str]) -> list[str]:
    return await asyncio.gather(*map(_unwrapped, names))


@process("groups", calls=[part])
async def groups(names: list[str]) -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_unwrapped(name)) for name in names]
    return [task.result() for task in tasks]


@process("looks", calls=[part])
async def looks(names: list[str]) -> list[str]:
    outcomes = await asyncio.gather(*(call_process(part, name) for name in names))
    failed = [name for name, outcome in zip(names, outcomes, strict=True) if not outcome.ok]
    if failed:
        raise DomainError(f"not done: {', '.join(failed)}", code="incomplete")
    return names


@pytest.mark.parametrize("parent", [gathers, groups, looks], ids=lambda each: each.name)
async def test_L34_one_retry_runs_every_child_again_that_failed_unhandled(parent: Any) -> None:
    broken.update(("second", "third"))
    async with Remit(":memory:", processes=[parent, part]) as app:
        execution = await app.start(parent, ["first", "second", "third"])
        assert (await execution.outcome(timeout=3)).status == "failed"
        broken.clear()
        await app.retry(execution.id)
        outcome = await execution.outcome(timeout=3)
        assert outcome.value == ["first", "second", "third"]
        assert runs.count("first") == 1
        assert (await every(app, execution.id))[""].attempt == 2


async def test_L19_a_task_group_of_failed_children_fails_as_one_failed_child_does() -> None:
    broken.update(("first", "second"))
    async with Remit(":memory:", processes=[groups, part]) as app:
        execution = await app.start(groups, ["first", "second", "third"])
        outcome = await execution.outcome(timeout=3)
        assert (await app.get(execution.id)).status == "FAILED_CHILD_WORKFLOW"
        assert outcome.error is not None
        assert outcome.error.origin in (f"{execution.id}.1", f"{execution.id}.2")
        assert "is broken" in outcome.error.message


@process("mixed")
async def mixed(kinds: list[str]) -> int:
    errors = {"transient": ConnectionError, "domain": KeyError, "bad": ValueError}
    raise ExceptionGroup("several", [errors[kind](f"a {kind} error") for kind in kinds])


@pytest.mark.parametrize(
    ("kinds", "code", "attempts"),
    [
        (["transient"], "retries_exhausted", 2),
        (["transient", "transient"], "retries_exhausted", 2),
        (["transient", "domain"], "domain_error", 1),
        (["domain", "bad"], "domain_error", 1),
    ],
)
async def test_L17_a_group_is_classified_by_the_worst_of_its_members(
    kinds: list[str], code: str, attempts: int
) -> None:
    async with Remit(":memory:", processes=[mixed]) as app:
        execution = await app.start(mixed, kinds, retry=Retry(attempts=2, first=0.001))
        error = (await execution.outcome(timeout=3)).error
        assert error is not None
        assert (error.code, error.attempt) == (code, attempts)
        told = error.details.get("last", {"message": error.message, "details": error.details})
        assert "error" in told["message"]
        assert told["details"].get("failures", 1) == len(kinds)
        assert len(told["details"].get("beside", [])) == len(kinds) - 1


@process("both")
async def both(_: int) -> list[str]:
    return await asyncio.gather(shaky("left"), shaky("right"))


async def test_L18_steps_that_fail_together_cost_one_attempt() -> None:
    async with Remit(":memory:", processes=[both]) as app:
        execution = await app.start(both, 1, retry=Retry(attempts=2, first=0.001))
        assert (await execution.outcome(timeout=3)).value == ["left", "right"]
        assert sorted(runs) == ["left", "left", "right", "right"]


@process("gives_up")
async def gives_up(_: int) -> list[Any]:
    found = await asyncio.gather(work("domain"), shaky("transient"), return_exceptions=True)
    if any(isinstance(each, TransientError) for each in found):
        raise TransientError("one of them is busy")
    return [str(each) for each in found]


async def test_L18_a_retry_repeats_no_domain_failure_that_the_body_has_looked_at() -> None:
    broken.add("domain")
    async with Remit(":memory:", processes=[gives_up]) as app:
        execution = await app.start(gives_up, 1, retry=Retry(attempts=3, first=0.001))
        assert (await execution.outcome(timeout=3)).value == ["domain is broken", "transient"]
        assert sorted(runs) == ["domain", "transient", "transient"]
