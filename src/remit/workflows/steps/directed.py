"""What follows from the directive a step function raised: a jump, a pause for a person, a child (L36, L44)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from remit.authoring.effects import call_process
from remit.authoring.process import ProcessRef
from remit.kernel.durations import Duration
from remit.kernel.retry import Retry
from remit.kernel.usage import Budget
from remit.workflows.running.flow import Ended, Flow, key_of
from remit.workflows.steps.asking import Asks

__all__ = ["call_child", "follow", "reference"]


async def follow(
    flow: Flow, directive: dict[str, Any], result: dict[str, Any], origin: str, visit: int, then: Asks
) -> Ended:
    """Do what a recorded directive says; `then` asks whoever a pause waits for."""
    if directive["do"] == "jump":
        return Ended(result, goto=directive["target"])
    if directive["do"] == "pause":
        answer = await then.ask(origin, prompt=directive["waiting_for"] or "")
        flow.answer = flow.merge(answer)
        return Ended({**result, **answer})
    child = await call_child(
        directive["workflow_type"], directive.get("version"), directive["input"], key_of(origin, visit)
    )
    flow.child_done(origin, directive["workflow_type"], child)
    return Ended(result, previous=child if isinstance(child, dict) else {origin: child})


async def call_child(
    workflow_type: str,
    version: str | None,
    initial_data: Any,
    key: str,
    *,
    ttl: Duration | None = None,
    estimate: Budget | None = None,
    budget: Budget | None = None,
    retry: Retry | None = None,
) -> Any:
    """Call a workflow or process and wait; its result as plain data. Raises CallFailed where it does not complete (L19)."""
    outcome = await call_process(
        reference(workflow_type, version),
        initial_data,
        key=key,
        ttl=ttl,
        estimate=estimate,
        budget=budget,
        retry=retry,
    )
    return outcome.unwrap()


@lru_cache(maxsize=4096)
def reference(workflow_type: str, version: str | None) -> ProcessRef[Any, Any]:
    """A reference whose results arrive as plain data, whatever type their process declares."""
    return ProcessRef[Any, Any](workflow_type if version is None else f"{workflow_type}@{version}")
