"""One admitted call as its caller sees it (L19)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from remit.engine.calls import Call
from remit.engine.ending.faults import encode_error
from remit.errors import ErrorClass, ErrorInfo
from remit.kernel.states import Status
from remit.store.records import ExecutionRecord


def failed() -> ExecutionRecord:
    """A child that has failed."""
    error = encode_error(ErrorInfo(ErrorClass.DOMAIN, "out_of_stock", "none left"))
    told = {"n": 2, "id": "exec_" + "0" * 24 + ".1", "parent_n": 1, "process": "child", "version": "1.0.0", "created_at": 0}
    return ExecutionRecord(**told, status=Status.FAILED, ttl_ms=1, digest=b"", input=b"null", error=error, ended_at=1)


@pytest.mark.parametrize("awaited", [True, False])
async def test_L19_a_failure_that_nobody_awaits_any_more_has_failed_nobody(awaited: bool) -> None:
    run: Any = SimpleNamespace(unseen=[], failed_lately=[])
    call = Call(run, failed(), None)
    if awaited:
        call.waiters.append(asyncio.get_running_loop().create_future())
    call.resolve()
    assert call.answer is not None
    assert (run.unseen, call.hearing) == ([call.answer] if awaited else [], int(awaited))
    assert run.failed_lately == ([(call.record.id, ErrorClass.DOMAIN)] if awaited else [])
