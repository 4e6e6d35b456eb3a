"""The releases example: what is at the bottom shows at every level, and a failure there costs only what failed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from examples.releases.demo import SOURCES, TRAIN, WORKFLOWS, main
from examples.releases.landscape import Landscape
from remit import MisuseError, Remit
from remit.testing import TestApp, after, assert_called, assert_not_called, assert_tree, tree_text
from tests.laws.scene import flatten

YES = {"approved": True, "by": "R. Adeyemi"}
NO = {"approved": False, "by": "R. Adeyemi"}
ONE = {"train": "2026-12", "services": ["ledger"]}
DEEP = ["ReleaseTrain", "ServiceRelease", "EnvironmentRollout", "ChangeApproval"]


@pytest.fixture
def landscape(tmp_path):
    return Landscape(SOURCES, tmp_path)


def app_on(landscape, **more):
    return TestApp([WORKFLOWS], resources=landscape, **more)


async def test_a_train_releases_its_services_one_after_the_other(landscape, tmp_path):
    async with app_on(landscape, answers={"Ask_Change_Board": after("2h", YES)}) as app:
        outcome = await app.run("ReleaseTrain", TRAIN)
        assert app.clock.elapsed == timedelta(hours=4)
        assert_tree(
            await app.tree(outcome.execution_id),
            """
            ReleaseTrain COMPLETED
              ServiceRelease COMPLETED
                EnvironmentRollout COMPLETED = {"approved_by": null, "environment": "staging"}
                EnvironmentRollout COMPLETED = {"approved_by": "R. Adeyemi", "environment": "production"}
                  ChangeApproval COMPLETED
              ServiceRelease COMPLETED
                EnvironmentRollout COMPLETED
                EnvironmentRollout COMPLETED
                  ChangeApproval COMPLETED
            """,
        )
    assert [each["service"] for each in outcome.unwrap()["released"]] == ["ledger", "gateway"]
    assert landscape.current("production", "ledger") == "4.2.0"
    assert landscape.current("production", "gateway") == "1.9.1"
    notes = (tmp_path / "notes" / "2026-11.txt").read_text("utf-8")
    assert notes == "ledger 4.2.0, approved by R. Adeyemi\ngateway 1.9.1, approved by R. Adeyemi\n"


@pytest.mark.parametrize("level", range(4))
async def test_L33_the_waiting_leaf_shows_on_every_ancestor_and_the_answer_resumes_all(level, landscape):
    """Answered at the leaf, or through any level above it."""
    async with app_on(landscape) as app:
        train = await app.start("ReleaseTrain", ONE)
        await app.settle()
        waiting = {
            each.process: str(each.status) for each in flatten(await app.tree(train.id)) if each.ended_at is None
        }
        assert waiting == {
            **dict.fromkeys(DEEP[:3], "WAITING_CHILD_HUMAN_INPUT"),
            "ChangeApproval": "WAITING_HUMAN_INPUT",
        }
        blocked = await app.list(status="WAITING_CHILD_HUMAN_INPUT")
        assert [each.process for each in blocked] == DEEP[2::-1]
        assert landscape.current("production", "ledger") is None
        chain = [each.execution_id for each in flatten(await app.tree(train.id)) if each.ended_at is None]
        await app.answer(chain[level], YES)
        assert (await train.outcome()).ok
        assert {str(each.status) for each in flatten(await app.tree(train.id))} == {"COMPLETED"}
        with pytest.raises(MisuseError, match="answer already"):
            await app.answer(chain[level], NO)
    assert landscape.current("production", "ledger") == "4.2.0"


async def test_L34_a_failing_leaf_reaches_the_root_and_the_retry_repeats_nothing_that_was_done(landscape, tmp_path):
    freeze = tmp_path / "freeze"
    freeze.touch()
    async with app_on(landscape, answers={"Ask_Change_Board": YES}) as app:
        train = await app.start("ReleaseTrain", ONE)
        outcome = await train.outcome()
        assert (outcome.error.code, outcome.error.origin) == ("change_freeze", f"{train.id}.1.2.1")
        assert_tree(
            await app.tree(train.id),
            """
            ReleaseTrain FAILED_CHILD_WORKFLOW change_freeze
              ServiceRelease FAILED_CHILD_WORKFLOW change_freeze
                EnvironmentRollout COMPLETED
                EnvironmentRollout FAILED_CHILD_WORKFLOW change_freeze
                  ChangeApproval FAILED change_freeze
            """,
        )
        freeze.unlink()
        await app.retry(train.id)
        assert (await train.outcome()).ok
        assert_tree(
            await app.tree(train.id),
            """
            ReleaseTrain COMPLETED attempt 2
              ServiceRelease COMPLETED attempt 2
                EnvironmentRollout COMPLETED
                EnvironmentRollout COMPLETED attempt 2
                  ChangeApproval COMPLETED attempt 2
            """,
        )
        for step in ("Open_Train", "Build", "Test_Build", "Record_Change", "Write_Notes"):
            assert_called(app.calls, step, times=1)
        for step in ("Unpack", "Switch", "Smoke_Test", "Check_Calendar"):
            assert_called(app.calls, step, times=2)
        for process, times in zip(DEEP[1:], (1, 2, 1), strict=True):
            assert_called(app.calls, process, times=times)
    assert landscape.current("production", "ledger") == "4.2.0"


async def test_L34_the_second_service_fails_and_the_first_is_not_released_again(landscape, tmp_path):
    async def decide(_asked):
        (tmp_path / "freeze").touch()  # somebody freezes production after the first approval
        return YES

    async with app_on(landscape, answers={"Ask_Change_Board": decide}) as app:
        train = await app.start("ReleaseTrain", TRAIN)
        assert (await train.outcome()).error.code == "change_freeze"
        before = tree_text(await app.tree(train.id)).splitlines()[1:5]
        (tmp_path / "freeze").unlink()
        await app.retry(train.id)
        assert [each["service"] for each in (await train.outcome()).unwrap()["released"]] == ["ledger", "gateway"]
        assert tree_text(await app.tree(train.id)).splitlines()[1:5] == before
        assert_called(app.calls, "Build", times=2)


@pytest.mark.parametrize(
    ("answers", "who", "after_hours"), [({"Ask_Change_Board": NO}, "R. Adeyemi", 0), ({}, "nobody", 24)]
)
async def test_a_refused_change_leaves_production_as_it_is(answers, who, after_hours, landscape, tmp_path):
    async with app_on(landscape, answers=answers) as app:
        outcome = await app.run("ReleaseTrain", TRAIN)
        assert app.clock.elapsed == timedelta(hours=after_hours)
        assert_not_called(app.calls, "Write_Notes")
    assert outcome.error.code == "change_refused"
    assert outcome.error.message == f"{who} refused ledger 4.2.0"
    assert landscape.current("staging", "ledger") == "4.2.0"
    assert landscape.current("production", "ledger") is None
    (recorded,) = (tmp_path / "changes").iterdir()
    assert recorded.read_text("utf-8") == f"ledger 4.2.0: refused by {who}\n"


async def test_the_board_is_told_what_the_new_version_replaces(landscape):
    landscape.write(landscape.deployed("production", "ledger") / "current", b"4.1.7")
    async with app_on(landscape) as app:
        train = await app.start("ReleaseTrain", ONE)
        await app.settle()
        (leaf,) = await app.list(status="WAITING_HUMAN_INPUT")
        (asked,) = (await app.get(leaf.execution_id)).waiting_on.first
        assert asked["prompt"] == "ledger 4.2.0 replaces 4.1.7 in production (2 files). Approve?"
        assert await app.cancel(train.id)
    assert landscape.current("production", "ledger") == "4.1.7"


@pytest.mark.parametrize(
    ("described", "code"), [('name = "other"\nversion = "1.0"\n', "bad_build"), ('name = "odd"\n', "bad_build")]
)
async def test_a_build_that_does_not_say_who_it_is_goes_nowhere(described, code, tmp_path):
    (tmp_path / "services" / "odd").mkdir(parents=True)
    (tmp_path / "services" / "odd" / "service.toml").write_text(described, "utf-8")
    landscape = Landscape(tmp_path / "services", tmp_path)
    async with app_on(landscape) as app:
        outcome = await app.run("ReleaseTrain", {"train": "t", "services": ["odd"]})
        assert outcome.error.code == code
        assert_not_called(app.calls, "EnvironmentRollout")
        outcome = await app.run("ReleaseTrain", {"train": "t", "services": ["missing"]})
        assert outcome.error.code == "unknown_service"


def test_the_demo_waits_goes_on_and_arrives(tmp_path, capsys):
    for service in ("ledger", "gateway"):
        assert main(["--folder", str(tmp_path)]) == 0
        printed = capsys.readouterr().out
        assert printed.count("WAITING_CHILD_HUMAN_INPUT") == 3
        assert f"asks role:change-board: {service} " in printed
        answered(tmp_path)
    assert main(["--folder", str(tmp_path)]) == 0
    assert "WAITING" not in capsys.readouterr().out


def answered(folder) -> None:
    """As `remit answer` does it: without the code of the workflows."""

    async def answer() -> None:
        async with Remit(f"sqlite:///{folder / 'remit.db'}") as app:
            (train,) = await app.list(process="ReleaseTrain")
            await app.answer(train.execution_id, YES)

    asyncio.run(answer())
