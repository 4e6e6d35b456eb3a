"""What the watchdog leaves alone: Remit's own code at its own work, whatever made that code, and whatever it calls (L22)."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from remit import InvalidInput, ProcessRef, Remit, call_process, process
from remit.package import PACKAGE

LONG_S = 0.4
HAPPENED: list[str] = []


class Slow(BaseModel):
    """Takes its time to be read, whoever reads it."""

    n: int

    @field_validator("n")
    @classmethod
    def _takes_long(cls, n: int) -> int:
        time.sleep(LONG_S if n == 1 else 0)
        if n == 3:
            raise RuntimeError("a validator that gives up")
        return n


class Quick(BaseModel):
    """The same to whoever sends it."""

    n: int


@process("giver")
async def giver(n: int) -> Quick:
    return Quick(n=n)


GIVEN = ProcessRef[int, Slow]("giver")


@process("taker", calls=[giver])
async def taker(last: int) -> list[int]:
    async def one(n: int) -> int:
        return (await call_process(GIVEN, n)).unwrap().n

    return list(await asyncio.gather(one(1), one(last)))


@process("reads")
async def reads(given: Slow) -> int:
    return given.n


@process("passes-on", calls=[reads])
async def passes_on(n: int) -> str:
    outcome: Any = await call_process("reads", {"n": n})
    return outcome.error.code


@process("at-work")
async def at_work(_: str) -> str:
    asyncio.get_running_loop().call_soon(WORK[0])
    await asyncio.sleep(2 * LONG_S)
    return "done"


MADE = """
from dataclasses import dataclass, field

@dataclass
class Rest:
    rested: None = field(default_factory=pause)

def work():
    Rest()
    happened.append("worked")
"""
WORK: list[Callable[[], None]] = []


@pytest.fixture
def of_remit() -> Iterator[None]:
    """Work of Remit's own, most of the time in a method that was made for it at run time: it is of no file."""
    name, path = "remit.made_for_a_test", f"{PACKAGE}made_for_a_test.py"
    module = ModuleType(name)
    module.__dict__.update(__file__=path, happened=HAPPENED, pause=partial(time.sleep, LONG_S))
    sys.modules[name] = module
    exec(compile(MADE, path, "exec"), module.__dict__)
    WORK[:], HAPPENED[:] = [module.work], []
    yield
    del sys.modules[name]


async def test_L22_code_that_was_made_for_remit_at_run_time_is_not_taken_for_an_authors(of_remit: None, caplog: Any) -> None:
    async with Remit(":memory:", processes=[at_work]) as app:
        outcome = await (await app.start(at_work, "")).outcome(timeout=5)
        assert outcome.unwrap() == "done"
    assert HAPPENED == ["worked"]
    assert not [each for each in caplog.records if each.name == "remit.watchdog"]
    assert caplog.text.count("Exception in callback") == 0


async def test_L22_an_authors_validator_that_blocks_is_named_and_costs_nobody_what_remit_was_about_to_tell(caplog: Any) -> None:
    async with Remit(":memory:", processes=[giver, taker]) as app:
        outcome = await (await app.start(taker, 2)).outcome(timeout=5)
        assert outcome.unwrap() == [1, 2]
    assert "Slow._takes_long" in next(each.getMessage() for each in caplog.records if each.name == "remit.watchdog")


async def test_L4_an_authors_validator_that_raises_whatever_it_likes_is_a_contract_violation() -> None:
    async with Remit(":memory:", processes=[giver, taker]) as app:
        outcome = await (await app.start(taker, 3)).outcome(timeout=5)
        assert outcome.error is not None
        assert outcome.error.code == "contract_violation"
        assert "RuntimeError: a validator that gives up" in outcome.error.message


async def test_L48_an_input_over_which_a_validator_raises_whatever_it_likes_is_refused() -> None:
    async with Remit(":memory:", processes=[passes_on, reads]) as app:
        with pytest.raises(InvalidInput, match=r"process 'reads'.*RuntimeError: a validator that gives up.*mend the validator"):
            await app.start(reads, {"n": 3})
        outcome = await (await app.start(passes_on, 3)).outcome(timeout=5)
        assert outcome.unwrap() == "invalid_input"
