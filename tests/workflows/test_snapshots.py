"""L39: a running workflow goes on by what its file said when it began, whatever the file says now."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from remit import Remit
from remit.workflows import WorkflowStore
from remit.workflows.format.model import Workflow
from remit.workflows.hosting import source_of, workflow_of
from tests.laws.scene import look_at, open_store, wait_until
from tests.workflows.shops import write

STEPS = """
    def old_end(state):
        return {"ended_by": "old"}

    def new_end(state):
        return {"ended_by": "new"}
"""
OLD = """
    # before the edit
    workflow_type: Task
    steps:
      - {name: Ask, type: HUMAN_IN_LOOP, prompt: Well?}
      - {name: Old_End, function: steps.old_end}
"""
NEW = """
    workflow_type: Task
    steps:
      - {name: Before, function: steps.new_end}
      - {name: Ask_Anew, type: HUMAN_IN_LOOP, prompt: Well now?}
      - {name: New_End, function: steps.new_end}
"""


def files(tmp_path: Path, text: str) -> Path:
    return write(tmp_path / "flows", steps__py=STEPS, task__yaml=text)


async def waiting(app: Remit, key: str = "k") -> str:
    execution = await app.start("Task", {}, key=key)
    await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
    return execution.id


async def ended(app: Remit, execution_id: str) -> tuple[str, list[str]]:
    """Who ended it, and the names of all that it recorded."""
    await app.answer(execution_id, {})
    result = (await app.outcome(execution_id, 5)).unwrap()
    return result["ended_by"], [entry.name for entry in await app.journal(execution_id)]


def snapshots(tmp_path: Path) -> list[tuple[str, int]]:
    return look_at(tmp_path, "SELECT version, first_n FROM definitions ORDER BY first_n")


async def test_L39_an_edited_file_drives_new_executions_and_the_old_text_those_that_began_with_it(
    tmp_path: Path,
) -> None:
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, OLD)]) as app:
        old = await waiting(app)
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, NEW)]) as app:
        assert await ended(app, old) == ("old", ["Ask", "Old_End"])
        assert await ended(app, await waiting(app, "k2")) == ("new", ["Before", "Ask_Anew", "New_End"])
    assert snapshots(tmp_path) == [("1.0.0", 1), ("1.0.0", 2)]


async def test_L39_each_of_several_edits_is_kept(tmp_path: Path) -> None:
    texts = [OLD, NEW, OLD.replace("Old_End", "Third_End")]
    begun = []
    for number, text in enumerate(texts):
        async with Remit(open_store(tmp_path), processes=[files(tmp_path, text)]) as app:
            begun.append(await waiting(app, f"k{number}"))
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, NEW)]) as app:
        found = [(await ended(app, each))[1][-1] for each in begun]
    assert found == ["Old_End", "New_End", "Third_End"]


async def test_L39_a_new_version_does_not_drive_what_began_with_the_one_before(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, OLD)]) as app:
        old = await waiting(app)
    newer = NEW.replace("workflow_type: Task", "workflow_type: Task\n    workflow_version: 2.0.0")
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, newer)]) as app:
        assert await ended(app, old) == ("old", ["Ask", "Old_End"])
        assert (await app.get(await waiting(app, "k2"))).version == "2.0.0"


async def test_L39_an_operators_retry_goes_by_the_definition_it_failed_with(tmp_path: Path) -> None:
    failing = files(tmp_path, OLD.replace("old_end}", "broken}"))
    steps = failing / "steps.py"
    steps.write_text(steps.read_text() + "\n\nfail = [True]\ndef broken(state):\n    assert not fail.pop()\n")
    async with Remit(open_store(tmp_path), processes=[failing]) as app:
        failed = await waiting(app)
        await app.answer(failed, {})
        assert (await app.outcome(failed, 5)).error is not None
    steps.write_text(STEPS.replace("\n    ", "\n") + "\ndef broken(state):\n    return {'ended_by': 'mended'}\n")
    home = write(tmp_path / "mended", task__yaml=NEW, steps__py=steps.read_text())
    async with Remit(open_store(tmp_path), processes=[home]) as app:
        await app.retry(failed)
        assert (await app.outcome(failed, 5)).unwrap()["ended_by"] == "mended"


async def test_L39_what_only_looks_different_is_the_same_definition(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, OLD)]) as app:
        await waiting(app)
    same = OLD.replace("# before the edit", "# after it").replace(
        "{name: Ask, type: HUMAN_IN_LOOP, prompt: Well?}", "{type: HUMAN_IN_LOOP, prompt: 'Well?', name: Ask}"
    )
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, same)]) as app:
        await waiting(app, "k2")
    assert snapshots(tmp_path) == [("1.0.0", 1)]


async def test_an_edit_before_anything_began_replaces_the_snapshot(tmp_path: Path) -> None:
    for text in (OLD, NEW):
        async with Remit(open_store(tmp_path), processes=[files(tmp_path, text)]):
            await asyncio.sleep(0)
    assert snapshots(tmp_path) == [("1.0.0", 1)]
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, NEW)]) as app:
        assert await ended(app, await waiting(app)) == ("new", ["Before", "Ask_Anew", "New_End"])


async def test_L39_an_execution_whose_functions_are_gone_waits_and_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, OLD)]) as app:
        old = await waiting(app)
    home = write(tmp_path / "moved", steps__py="def new_end(state): return {'ended_by': 'new'}", task__yaml=NEW)
    async with Remit(open_store(tmp_path), processes=[home]) as app:
        await app.answer(old, {})
        await wait_until(app, old, "PENDING")
        assert await ended(app, await waiting(app, "k2")) == ("new", ["Before", "Ask_Anew", "New_End"])
        assert (await WorkflowStore(app).load_workflow(old))["state"] is None
    assert "steps.old_end" in caplog.text
    async with Remit(open_store(tmp_path), processes=[files(tmp_path, NEW)]) as app:
        assert (await app.outcome(old, 5)).unwrap() == {"ended_by": "old"}


async def test_L39_a_child_that_starts_after_the_edit_takes_the_new_definition(tmp_path: Path) -> None:
    parent = """
        workflow_type: Parent
        steps:
          - {name: Ask, type: HUMAN_IN_LOOP}
          - {name: Call, type: SUB_WORKFLOW, sub_workflow_type: Task}
    """
    home = write(files(tmp_path, OLD), parent__yaml=parent)
    async with Remit(open_store(tmp_path), processes=[home]) as app:
        root = (await app.start("Parent", {})).id
        await wait_until(app, root, "WAITING_HUMAN_INPUT")
    write(home, task__yaml=NEW, parent__yaml=parent.replace("name: Ask", "name: Renamed"))
    async with Remit(open_store(tmp_path), processes=[home]) as app:
        await app.answer(root, {})
        await wait_until(app, root, "WAITING_CHILD_HUMAN_INPUT")
        await app.answer(root, {})
        assert (await app.outcome(root, 5)).ok
        names = [entry.name for entry in await app.journal(f"{root}.1")]
        assert names == ["Before", "Ask_Anew", "New_End"]


def test_what_a_workflow_says_survives_as_json() -> None:
    said = {
        "workflow_type": "All",
        "workflow_version": "1.2",
        "estimate": {"tokens": 5, "cost": "0.10"},
        "retry": {"max_attempts": 2, "delay_seconds": 0.5},
        "steps": [
            {"name": "A", "function": "steps:a", "timeout_seconds": 3, "on_timeout": {"value": None}},
            {"name": "B", "type": "HUMAN_IN_LOOP", "schema": {"type": "object"}, "on_timeout": "A"},
            {"name": "C", "type": "DECISION", "routes": [{"condition": "state.x > 1", "next_step": "A"}]},
        ],
    }
    workflow = Workflow.model_validate(said)
    again = workflow_of(source_of(workflow))
    assert again == workflow
    assert [step.model_fields_set for step in again.steps] == [step.model_fields_set for step in workflow.steps]
    assert source_of(again) == source_of(workflow)


async def test_L39_what_a_workflow_may_call_belongs_to_the_definition_it_began_with(tmp_path: Path) -> None:
    caller = """
        workflow_type: Caller
        calls: [Task]
        steps:
          - {name: Ask, type: HUMAN_IN_LOOP}
          - {name: Call, function: steps.call}
    """
    call = 'from remit.workflows import StartSubWorkflowDirective\ndef call(state): raise StartSubWorkflowDirective("Ta" + "sk")'
    task = "workflow_type: Task\nsteps:\n  - {name: End, function: steps.old_end}\n"
    home = write(tmp_path / "flows", steps__py=STEPS, calls__py=call, caller__yaml=caller, task__yaml=task)
    write(home, caller__yaml=caller.replace("steps.call", "calls.call"))

    async def begin(app: Remit) -> str:
        root = (await app.start("Caller", {})).id
        await wait_until(app, root, "WAITING_HUMAN_INPUT")
        return root

    async with Remit(open_store(tmp_path), processes=[home]) as app:
        old = await begin(app)
    write(home, caller__yaml=caller.replace("steps.call", "calls.call").replace("calls: [Task]", "calls: []"))
    async with Remit(open_store(tmp_path), processes=[home]) as app:
        new = await begin(app)
        for root in (new, old):
            await app.answer(root, {})
        error = (await app.outcome(new, 5)).error
        assert error is not None
        assert error.code == "undeclared_call"
        assert (await app.outcome(old, 5)).ok
