"""Governed work of every durable kind, and a witness who sees what the world sees of it.

A root `errand` acts, asks a model and a priced tool, calls three `leg`s at once (each of which calls a `hop` between
two acts of its own), waits for a human while it takes a nap, waits for an event, and starts a `postscript`; a clumsy
one fails once and is retried. Beside each errand goes a `voyage`: it books, calls a `berth` that completes and a `tour`
that fails, and all of it is rolled back. Every act, and every one that is taken back, tells the witness its label, and
the acts whose results it stands on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel

from remit import (
    Budget,
    DomainError,
    MisuseError,
    Remit,
    Retry,
    TransientError,
    Usage,
    ask,
    call_process,
    charge,
    current,
    model,
    process,
    start_process,
    step,
    tool,
)
from remit.durable import sleep, wait_event

__all__ = [
    "PROCESSES",
    "Answers",
    "Seen",
    "drive",
    "expected_acts",
    "expected_undoing",
    "nodes",
    "voyage_of",
    "watch",
]

LEGS = 3
CLUMSY = frozenset({"north"})
_POLL_S = 0.001


@dataclass(frozen=True, slots=True)
class Seen:
    """Something the world saw: `what` happened to `label`, in which execution, standing on which acts."""

    what: str
    label: str
    execution: str
    after: tuple[str, ...] = ()
    value: Any = None

    def as_json(self) -> dict[str, Any]:
        """As a plain object; `Seen.from_json` is the way back."""
        return asdict(self)

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Seen:
        """What `as_json` gave."""
        return Seen(**{**fields, "after": tuple(fields["after"])})


@dataclass(frozen=True, slots=True)
class Answers:
    """What the human and the event say in one run; another run says something else."""

    verdict: str
    word: str


class Job(BaseModel):
    """A label, and the acts whose results were known when it was given."""

    label: str
    after: list[str] = []


class Verdict(BaseModel):
    """What the human says."""

    text: str


class Report(BaseModel):
    """What a root has to show in the end."""

    legs: int
    verdict: str
    word: str


_witness: Callable[[Seen], None]
_stumbled: set[str] = set()


def watch(witness: Callable[[Seen], None]) -> None:
    """From now on `witness` sees what happens; forgets who has stumbled before."""
    global _witness  # noqa: PLW0603 - steps are plain functions and find their world here
    _witness = witness
    _stumbled.clear()


@step
async def act(label: str, execution: str, after: list[str]) -> int:
    _witness(Seen("acted", label, execution, tuple(after)))
    return 1


@step
async def stumble(label: str, execution: str, after: list[str]) -> int:
    if label not in _stumbled:
        _stumbled.add(label)
        raise TransientError("stumbled")
    _witness(Seen("acted", label, execution, tuple(after)))
    return 1


@tool("desk.look_up", cost="0.002")
async def look_up(label: str, execution: str, after: list[str]) -> int:
    _witness(Seen("acted", label, execution, tuple(after)))
    return 1


@model("small", max_input_tokens=100, max_tokens=50)
async def think(label: str, execution: str, after: list[str]) -> tuple[int, Usage]:
    _witness(Seen("acted", label, execution, tuple(after)))
    return 1, Usage(input_tokens=60, output_tokens=20)


@process("hop")
async def hop(job: Job) -> int:
    done = await act(f"{job.label}/act", current().execution_id, job.after)
    await charge(Usage(tokens=7))
    return done


@process("leg", calls=[hop])
async def leg(job: Job) -> int:
    me, trail = current().execution_id, list(job.after)
    done = await act(f"{job.label}/first", me, trail)
    trail += [f"{job.label}/first"]
    outcome = await call_process(hop, Job(label=f"{job.label}/hop", after=trail), estimate=20)
    trail += [f"{job.label}/hop/act"]
    return done + outcome.unwrap() + await act(f"{job.label}/last", me, trail)


@process("postscript")
async def postscript(job: Job) -> int:
    return await act(f"{job.label}/act", current().execution_id, job.after)


async def _nap(label: str, execution: str, after: list[str]) -> None:
    await sleep("2ms")
    await act(label, execution, after)


@process("errand", calls=[leg, postscript], retry=Retry(attempts=9, first=0.002))
async def errand(job: Job) -> Report:
    me, label, trail = current().execution_id, job.label, list(job.after)
    mishap = stumble if label in CLUMSY else act
    for effect, name in ((act, "first"), (think, "think"), (look_up, "look"), (mishap, "mishap")):
        await effect(f"{label}/{name}", me, trail)
        trail.append(f"{label}/{name}")
    jobs = [Job(label=f"{label}/leg{n}", after=trail) for n in range(LEGS)]
    outcomes = await asyncio.gather(*(call_process(leg, each, estimate=60) for each in jobs))
    trail += [f"{each.label}/last" for each in jobs]
    await act(f"{label}/between", me, trail)
    trail += [f"{label}/between"]
    verdict, _ = await asyncio.gather(
        ask(Verdict, name="verdict", prompt="Well?", to="role:lead"), _nap(f"{label}/nap", me, trail)
    )
    trail = [*trail, f"{label}/nap"]
    word = await wait_event("word")
    await start_process(postscript, Job(label=f"{label}/postscript", after=trail))
    await act(f"{label}/end", me, trail)
    return Report(legs=sum(outcome.unwrap() for outcome in outcomes), verdict=verdict.text, word=str(word))


def take_back(result: int | None, label: str, execution: str, after: list[str]) -> str:
    if label.partition("-")[0] in CLUMSY and label.endswith("/bags") and label not in _stumbled:
        _stumbled.add(label)
        raise TransientError("stumbled")
    _witness(Seen("undid", label, execution, value=result))
    return label


async def take_back_async(result: int | None, label: str, execution: str, after: list[str]) -> str:
    return take_back(result, label, execution, after)


@step(compensate=take_back)
async def book(label: str, execution: str, after: list[str]) -> int:
    _witness(Seen("acted", label, execution, tuple(after)))
    return 1


@step(compensate=take_back_async)
async def book_async(label: str, execution: str, after: list[str]) -> int:
    _witness(Seen("acted", label, execution, tuple(after)))
    return 1


async def _book_both(job: Job) -> list[str]:
    me, trail = current().execution_id, list(job.after)
    for effect, name in ((book, "first"), (book_async, "second")):
        await effect(f"{job.label}/{name}", me, trail)
        trail.append(f"{job.label}/{name}")
    return trail


@process("berth", saga=True)
async def berth(job: Job) -> list[str]:
    return await _book_both(job)


@process("tour", saga=True)
async def tour(job: Job) -> list[str]:
    await _book_both(job)
    raise DomainError("sold_out")


@process("voyage", calls=[berth, tour], saga=True, retry=Retry(attempts=9, first=0.002))
async def voyage(job: Job) -> None:
    me, trail = current().execution_id, [f"{job.label}/seat"]
    await book(f"{job.label}/seat", me, [])
    trail += (await call_process(berth, Job(label=f"{job.label}/berth", after=trail))).unwrap()
    await book(f"{job.label}/bags", me, trail)
    trail.append(f"{job.label}/bags")
    (await call_process(tour, Job(label=f"{job.label}/tour", after=trail))).unwrap()


def voyage_of(root: str) -> str:
    """The label of the voyage that goes beside an errand."""
    return f"{root}-voyage"


def expected_undoing(root: str) -> list[str]:
    """The labels of what is taken back of a root's voyage, in order: child first, and what was done last."""
    order = ("tour/second", "tour/first", "bags", "berth/second", "berth/first", "seat")
    return [f"{voyage_of(root)}/{name}" for name in order]


PROCESSES = [errand, leg, hop, postscript, voyage, berth, tour]


def expected_acts(root: str) -> set[str]:
    """The labels of all acts of a root that ran to its end."""
    own = {f"{root}/{name}" for name in ("first", "think", "look", "mishap", "between", "nap", "end", "postscript/act")}
    return own | {f"{root}/leg{n}/{name}" for n in range(LEGS) for name in ("first", "hop/act", "last")}


async def drive(app: Remit, labels: Iterable[str], answers: Answers) -> None:
    """Starts a root for every label, answers it, and sees it to its end; does no harm to what was done before."""
    async with asyncio.TaskGroup() as group:
        for label in labels:
            group.create_task(_see_through(app, label, answers))
            group.create_task(_see_undone(app, label))


async def _see_through(app: Remit, label: str, answers: Answers) -> None:
    execution = await app.start(errand, Job(label=label), key=label, budget=Budget(tokens=100_000, cost="1.00"))
    _witness(Seen("started", label, execution.id))
    await _send(app, label, execution.id, answers.word)
    await _answer(app, label, execution.id, answers.verdict)
    outcome = await execution.outcome(timeout=30)
    report = outcome.value.model_dump() if outcome.value is not None else {"failed": str(outcome.error)}
    _witness(Seen("ended", label, execution.id, value=report))
    while any(node.ended_at is None for node in nodes(await app.tree(execution.id))):  # noqa: ASYNC110 - a test polls
        await asyncio.sleep(_POLL_S)


async def _see_undone(app: Remit, label: str) -> None:
    name = voyage_of(label)
    execution = await app.start(voyage, Job(label=name), key=name)
    _witness(Seen("started", name, execution.id))
    record = await execution.compensated(timeout=30)
    _witness(Seen("rolled back", name, execution.id, value=str(record.compensation)))


def nodes(tree: Any) -> list[Any]:
    """A node of `app.tree()` and everything below it."""
    return [tree, *(below for child in tree.children for below in nodes(child))]


async def _send(app: Remit, label: str, execution_id: str, word: str) -> None:
    try:
        accepted = await app.send(execution_id, "word", word, dedupe="word")
    except MisuseError as error:
        if error.code != "wrong_state":  # it has ended: an earlier event was delivered
            raise
        accepted = False
    if accepted:
        _witness(Seen("sent", label, execution_id, value=word))


async def _answer(app: Remit, label: str, execution_id: str, verdict: str) -> None:
    while (record := await app.get(execution_id)).ended_at is None:
        if record.status == "WAITING_HUMAN_INPUT":
            await app.answer(execution_id, Verdict(text=verdict))
            _witness(Seen("answered", label, execution_id, value=verdict))
            return
        await asyncio.sleep(_POLL_S)
