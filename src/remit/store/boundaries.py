"""The named instants at which a crash must be harmless; tests kill the process at each of them.

    if boundaries.reach is not None:
        boundaries.reach("commit.before")

Unset, a boundary costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["BOUNDARIES", "reach"]

BOUNDARIES: dict[str, str] = {
    "ownership.taken": "this process owns the store, and has not read it yet",
    "recovery.before": "executions of the former owner are known, none is driven",
    "recovery.each": "one of them has been taken up, the others not yet",
    "recovery.after": "all have been taken up, nothing of that is durable yet",
    "admission.decided": "a call or a start is admitted in memory, nothing is durable",
    "commit.before": "a batch has gathered, its transaction has not begun",
    "commit.written": "its rows are written, the transaction is open",
    "commit.after": "it is durable, and nobody has been told",
    "commit.released": "those who waited for it have been told",
    "checkpoint.before": "the log is about to be copied into the database",
    "checkpoint.after": "it has been copied",
    "step.before": "a step is about to run: all it depends on is durable",
    "step.after": "the step has run, its result is not recorded",
    "step.recorded": "its result is recorded in memory",
    "ending.decided": "an execution has ended in memory, nobody has been told",
    "retry.scheduled": "an attempt has failed and the next one is scheduled in memory",
    "wait.settled": "an answer, an event or a timer has been recorded in memory",
    "saga.child": "an execution that had completed is to be rolled back, in memory",
    "saga.before": "a compensation is about to run: what says so is durable",
    "saga.compensated": "the compensation has run, its result is not recorded",
    "saga.recorded": "its result is recorded in memory",
    "saga.done": "all compensations of an execution have been tried, in memory",
    "retention.buried": "a root is to be deleted: its tombstone is written, the transaction is open",
    "erasure.decided": "an erasure is durable, and nothing of it is done",
    "erasure.keyless": "the tenant's keys are destroyed",
    "erasure.each": "some rows are erased, not all",
    "erasure.rewritten": "the file has been rewritten into the log, which still holds what was erased",
    "close.before": "the app is closing, nothing has been stopped",
}

reach: Callable[[str], None] | None = None
