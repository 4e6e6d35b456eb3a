"""The directive that a step function raised, as it is recorded; what none can be made of, the message says how to mend (L36, L44)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from remit.authoring.effects import current
from remit.engine.values.plain_json import loads
from remit.engine.values.seam import SeamError, canonical
from remit.errors import DomainError, SystemFailure
from remit.workflows.directives import (
    StartSubWorkflowDirective,
    WorkflowDirective,
    WorkflowJumpDirective,
    WorkflowPauseDirective,
)

__all__ = ["leading_nowhere", "noted", "plainly", "refuse_grouped", "refuse_others", "refuse_returned"]

T = TypeVar("T")


def noted(directive: WorkflowDirective, where: str) -> dict[str, Any]:
    """A directive as it is recorded; raises DomainError `invalid_directive`."""
    name = type(directive).__name__
    _plain(directive.result, f"{where}: the result that {name} carries")
    if isinstance(directive, WorkflowJumpDirective):
        target = _text(directive.target_step_name, f"{where} raised {name}", "the name of the step to go on at")
        return {"do": "jump", "target": target}
    if isinstance(directive, WorkflowPauseDirective):
        waiting_for = directive.waiting_for
        if waiting_for is not None:
            _text(waiting_for, f"{where} raised {name}", "`waiting_for`, or none")
        return {"do": "pause", "waiting_for": waiting_for}
    if not isinstance(directive, StartSubWorkflowDirective):
        raise _invalid(f"{where}: {name} is no directive that a workflow knows: raise one of remit.workflows")
    return _start(directive, where, name)


def _start(directive: StartSubWorkflowDirective, where: str, name: str) -> dict[str, Any]:
    called = _text(directive.workflow_type, f"{where} raised {name}", "the type of the workflow to start")
    data = _plain(directive.initial_data, f"{where}: the initial_data for {called!r}")
    start = {"do": "start", "workflow_type": called, "input": data}
    if directive.version is None:
        return start
    return {**start, "version": _text(directive.version, f"{where} raised {name}", "a range such as '^2' as `version`")}


def _text(value: object, where: str, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise _invalid(f"{where} with {value!r:.100}: give it {what}, as a text")
    return value


def _plain(value: object, where: str) -> Any:
    try:
        return loads(canonical(value, where))
    except SeamError as error:
        told = "give plain data (texts, numbers, lists, mappings, pydantic models), such as an id instead of an object"
        raise _invalid(f"{error}: {told}") from None


def _invalid(message: str) -> DomainError:
    return DomainError(message, code="invalid_directive")


def refuse_returned(returned: object, where: str) -> None:
    """Raise DomainError `invalid_directive` for a directive that was returned, or its class."""
    kind = returned if isinstance(returned, type) else type(returned)
    if issubclass(kind, WorkflowDirective):
        raise _invalid(f"{where}: its function returned {kind.__name__}: write `raise` instead of `return`")


def refuse_grouped(group: BaseExceptionGroup[BaseException], where: str) -> None:
    """Raise DomainError `invalid_directive` where a group holds directives: which of several tasks would lead on?"""
    found = _first_in(group)
    if found is not None:
        raise _invalid(
            f"{where}: its function raised {type(found).__name__} within a group of exceptions, as a task group raises."
            " Raise it in the function itself, once the group is over; children side by side are tasks of a PARALLEL step."
        ) from None


@contextmanager
def leading_nowhere(where: str) -> Iterator[None]:
    """Raise DomainError `invalid_directive` for a directive of code that has no step after it: of a compensation (L37)."""
    try:
        yield
    except WorkflowDirective as directive:
        raise _nowhere(directive, where) from None
    except BaseExceptionGroup as group:
        found = _first_in(group)
        if found is None:
            raise
        raise _nowhere(found, where) from None


def plainly(returned: T) -> T:
    """What code returned that may not lead anywhere; a directive is as good as raised."""
    if isinstance(returned, WorkflowDirective):
        raise returned
    return returned


def _nowhere(directive: BaseException, where: str) -> DomainError:
    return _invalid(
        f"{where}: {type(directive).__name__} leads nowhere, as the workflow is being taken back: no step follows, nobody is"
        " asked and no child is started. Undo in the function itself what the step did, and tell people by a message."
    )


def _first_in(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The first directive of a group, if any."""
    found: BaseException | None = group.subgroup(WorkflowDirective)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def refuse_others(directive: WorkflowDirective) -> None:
    """Tenant, owner and region are inherited: another than the caller's own ends the chain (L44)."""
    if not isinstance(directive, StartSubWorkflowDirective):
        return
    who = current()
    if directive.owner_id is not None and directive.owner_id not in (who.owner, who.tenant):
        raise SystemFailure(
            f"The call of {directive.workflow_type!r} names owner {directive.owner_id!r}; its caller belongs to"
            f" {who.owner or who.tenant!r}, and owners are inherited",
            code="cross_tenant",
            target=directive.workflow_type,
        )
    if directive.data_region is not None and directive.data_region != who.region:
        raise SystemFailure(
            f"The call of {directive.workflow_type!r} names region {directive.data_region!r}; its caller runs in"
            f" {who.region!r}, and regions are inherited",
            code="region_violation",
            target=directive.workflow_type,
        )
