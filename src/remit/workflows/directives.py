"""What a step function of a workflow may raise to steer it, and the context that it is given."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from remit.errors import DomainError

__all__ = [
    "SagaWorkflowException",
    "StartSubWorkflowDirective",
    "StepContext",
    "WorkflowDirective",
    "WorkflowJumpDirective",
    "WorkflowPauseDirective",
]


class WorkflowDirective(Exception):
    """Raised by a step function instead of returning: what the workflow shall do next. The step is not run again for it."""

    def __init__(self, result: dict[str, Any] | None = None) -> None:
        super().__init__(type(self).__name__)
        self.result = result or {}


class StartSubWorkflowDirective(WorkflowDirective):
    """Start a child workflow or process, wait for its end, and go on with the next step.

    `owner_id` and `data_region` are inherited: None or an equal value is accepted, any other ends the chain (L44).
    `version` is a range such as '^2'.
    """

    def __init__(
        self,
        workflow_type: str,
        initial_data: Any = None,
        owner_id: str | None = None,
        data_region: str | None = None,
        version: str | None = None,
        result: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(result)
        self.workflow_type = workflow_type
        self.initial_data = initial_data
        self.owner_id = owner_id
        self.data_region = data_region
        self.version = version


class WorkflowJumpDirective(WorkflowDirective):
    """Go on at the step of that name, forwards or backwards."""

    def __init__(self, target_step_name: str, result: dict[str, Any] | None = None) -> None:
        super().__init__(result)
        self.target_step_name = target_step_name


class WorkflowPauseDirective(WorkflowDirective):
    """Wait for a person; the answer is merged into the state and is the next step's user input."""

    def __init__(self, result: dict[str, Any] | None = None, waiting_for: str | None = None) -> None:
        super().__init__(result)
        self.waiting_for = waiting_for


class SagaWorkflowException(DomainError):
    """Fail the step for good; where the workflow has a saga, what it did is compensated (L37)."""

    def __init__(self, message: str = "", original_exception: BaseException | None = None) -> None:
        original = original_exception
        details = {} if original is None else {"original": f"{type(original).__name__}: {original}"}
        super().__init__(message, code="saga_rollback", details=details)
        self.original_exception = original_exception


class StepContext(BaseModel):
    """Where a step function runs: read-only, and the same whenever the step is run again.

    `validated_input` is there where the step has an `input_model`; `previous_step_result` is what the step before gave, None
    for the first; `loop_item` and `loop_index` are set in the body of a LOOP and for the items of a PARALLEL step.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    workflow_id: str
    step_name: str
    validated_input: Any = None
    previous_step_result: dict[str, Any] | None = None
    loop_item: Any = None
    loop_index: int | None = None
    workflow_type: str | None = None
    parent_workflow_id: str | None = None
    root_workflow_id: str | None = None
