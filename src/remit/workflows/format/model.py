"""What a workflow file says, as frozen models: one class per type of step, chosen by `type` (STANDARD where absent).

Names are those of the files that exist; where two are in use, the field has the first and the other is an alias.
The published JSON Schema is drawn from these classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Discriminator, Field, Tag, model_validator

from remit.workflows.format.fields import (
    Amounts,
    Duration,
    Flag,
    ImportPath,
    Json,
    Keyed,
    Name,
    OnFailure,
    OnTimeout,
    Path,
    Price,
    RetryRule,
    Section,
    Shouted,
    Version,
    Word,
)

__all__ = [
    "OWN_KEYS",
    "STEP_TYPES",
    "AsyncStep",
    "AwaitStep",
    "CronScheduleStep",
    "DecisionStep",
    "DynamicInjection",
    "FireAndForgetStep",
    "HttpConfig",
    "HttpStep",
    "HumanInLoopStep",
    "InjectionRule",
    "JumpStep",
    "LoopStep",
    "ParallelStep",
    "Registry",
    "RegistryEntry",
    "Route",
    "StandardStep",
    "Step",
    "StepFields",
    "SubWorkflowStep",
    "Task",
    "WaitStep",
    "Workflow",
    "walk",
]

OWN_KEYS = "x-"
"""What the keys of a file begin with that are its authors' own: parts that others repeat by their anchors."""
_AT_MOST_STEPS = 1_000
Loc = tuple[str | int, ...]


class StepFields(Section):
    """What any step may say."""

    name: Name
    description: str | None = None
    function: ImportPath | None = None
    compensate_function: ImportPath | None = None
    input_model: ImportPath | None = None
    required_input: list[str | Keyed] = Field(default=[])
    automate_next: Flag = Field(default=True, description="Accepted; a step always goes on to the next.")
    dependencies: list[Name] = Field(default=[], description="Steps that must stand before this one.")
    dynamic_injection: DynamicInjection | None = None
    on_failure: OnFailure | None = None
    on_timeout: OnTimeout | None = None
    retry: RetryRule | None = None
    timeout: Duration | None = Field(None, validation_alias=AliasChoices("timeout", "timeout_seconds"))
    next_step: Name | None = Field(None, validation_alias=AliasChoices("next_step", "next"))

    @model_validator(mode="after")
    def _inserts_after_itself(self) -> Self:
        after = None if self.dynamic_injection is None else self.dynamic_injection.insert_after
        if after is not None and after != self.name:
            raise ValueError(
                f"`dynamic_injection` inserts steps right after the step that has it: move it from {self.name!r} to {after!r}"
            )
        return self


class StandardStep(StepFields):
    """A function that runs as one durable step."""

    type: Literal["STANDARD"] = "STANDARD"
    function: ImportPath


class AsyncStep(StepFields):
    """A function whose work is waited for as PENDING_ASYNC."""

    type: Literal["ASYNC"]
    function: ImportPath


class Route(Section):
    """Where a decision leads: to `target` when `condition` holds, or to `default` when nothing before it did."""

    condition: str | None = None
    target: Name | None = Field(None, validation_alias=AliasChoices("target", "next_step", "next", "target_step"))
    default: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Route:
        if self.default is not None and (self.condition is not None or self.target is not None):
            raise ValueError("a route is either {condition, target} or {default}")
        if self.default is None and (self.condition is None or self.target is None):
            raise ValueError("a route needs `condition` and `target`, or `default`")
        return self

    @property
    def goal(self) -> str:
        """The step it leads to."""
        return self.default or self.target or ""


class DecisionStep(StepFields):
    """The first route whose condition holds; a function, where there is one, runs before."""

    type: Literal["DECISION"]
    routes: list[Route] = Field(default=[])


class Task(Section):
    """One of the things that a PARALLEL step does at the same time: a function, or a child workflow."""

    name: Name
    function: ImportPath | None = Field(None, validation_alias=AliasChoices("function", "function_path"))
    compensate_function: ImportPath | None = None
    sub_workflow_type: Name | None = None
    version: str | None = None
    input: Json = None
    output: Keyed | None = None
    estimate: Amounts | None = None
    budget: Amounts | None = None
    retry: RetryRule | None = None
    timeout: Duration | None = Field(None, validation_alias=AliasChoices("timeout", "timeout_seconds"))

    @model_validator(mode="after")
    def _one(self) -> Task:
        if (self.function is None) == (self.sub_workflow_type is None):
            raise ValueError("a task has either a `function` or a `sub_workflow_type`")
        return self


class ParallelStep(StepFields):
    """Tasks side by side, or one task function for each item of a list."""

    type: Literal["PARALLEL"]
    tasks: list[Task] = Field(default=[], max_length=_AT_MOST_STEPS)
    iterate_over: Path | None = None
    task_function: ImportPath | None = None
    item_var_name: Name = "item"
    batch_size: int = Field(0, ge=0)
    merge_strategy: Annotated[Literal["SHALLOW", "DEEP", "REPLACE", "APPEND"], Shouted] = "SHALLOW"
    merge_conflict_behavior: Annotated[
        Literal["RAISE_ERROR", "PREFER_NEW", "PREFER_EXISTING", "PREFER_OLD"], Shouted
    ] = "RAISE_ERROR"
    allow_partial_success: Flag = False

    @model_validator(mode="after")
    def _one(self) -> ParallelStep:
        if (self.iterate_over is None) != (self.task_function is None):
            raise ValueError("`iterate_over` and `task_function` go together")
        if not self.tasks and self.iterate_over is None:
            raise ValueError("a PARALLEL step has `tasks`, or `iterate_over` and `task_function`")
        return self

    @property
    def prefers_existing(self) -> bool:
        """Whether what is there already wins a conflict."""
        return self.merge_conflict_behavior in {"PREFER_EXISTING", "PREFER_OLD"}


class SubWorkflowStep(StepFields):
    """A call of another workflow or process: waited for (`sync`), begun (`async`), or let go (`detached`)."""

    type: Literal["SUB_WORKFLOW"]
    sub_workflow_type: Name
    version: str | None = Field(None, description="A range of versions, such as ^2.")
    input: Json = Field(None, description="Expressions over `state`, by field; absent: nothing is passed on.")
    output: Keyed | None = Field(None, description="Expressions over `result` and `state`, by field of the state.")
    mode: Literal["sync", "async", "detached"] = "sync"
    estimate: Amounts | None = None
    budget: Amounts | None = None


class AwaitStep(StepFields):
    """Waits for a child that an earlier step started: for its outcome, or for its status at this moment."""

    type: Literal["AWAIT"]
    child: Name = Field(description="The name of the step that started it.")
    want: Literal["status", "outcome"] = "outcome"
    output: Keyed | None = None
    output_key: Name | None = None


class HumanInLoopStep(StepFields):
    """Waits for a person; the answer is merged into the state, by the function where there is one."""

    type: Literal["HUMAN_IN_LOOP"]
    answer_schema: Keyed | None = Field(None, alias="schema", description="JSON Schema of the answer.")
    prompt: str | None = None
    assignee: str | None = None
    output_key: Name | None = None

    @property
    def keeps_whole(self) -> bool:
        """Whether the answer is kept as one value, which need not be an object of fields."""
        return self.output_key is not None and self.function is None


class LoopStep(StepFields):
    """Runs its body for each item of a list, or while a condition holds; never more often than `max_iterations`."""

    type: Literal["LOOP"]
    mode: Annotated[Literal["ITERATE", "WHILE"], Shouted]
    iterate_over: Path | None = None
    item_var_name: Name = "item"
    while_condition: str | None = None
    max_iterations: int = Field(ge=1, le=10_000)
    loop_body: list[Step] = Field(min_length=1, max_length=_AT_MOST_STEPS)

    @model_validator(mode="after")
    def _goes_by(self) -> LoopStep:
        wanted, other = "iterate_over", "while_condition"
        if self.mode == "WHILE":
            wanted, other = other, wanted
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"a loop with mode {self.mode} has `{wanted}` and no `{other}`")
        return self


class FireAndForgetStep(StepFields):
    """Starts a workflow that nobody waits for."""

    type: Literal["FIRE_AND_FORGET"]
    target_workflow_type: Name
    version: str | None = None
    initial_data_template: Keyed = Field(default={})
    estimate: Amounts | None = None


class HttpConfig(Section):
    """One HTTP request; its texts may hold `{{ … }}`."""

    method: Annotated[Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"], Shouted] = "GET"
    url: Annotated[str, Field(min_length=1)]
    headers: dict[str, str] = Field(default={})
    query_params: Keyed = Field(default={})
    body: Json = None
    timeout: Duration = Field(30, validation_alias=AliasChoices("timeout", "timeout_seconds"))
    retry_policy: RetryRule | None = None


class HttpStep(StepFields):
    """One HTTP request as one durable step."""

    type: Literal["HTTP"]
    http_config: HttpConfig
    output_key: Name | None = None
    includes: list[Literal["body", "status_code", "headers"]] = Field(default=[])
    cost: Price | None = None


class CronScheduleStep(StepFields):
    """Sets up, or replaces, a schedule that starts a workflow again and again."""

    type: Literal["CRON_SCHEDULE"]
    schedule_name: Name
    cron_expression: Name
    timezone: Name = "UTC"
    target_workflow_type: Name
    initial_data_template: Keyed = Field(default={})
    overlap: Literal["skip", "queue", "allow"] = "skip"
    catch_up: Duration = Field("1h", description="How late a firing may be that nobody was there for.")
    on_skipped: Literal["run_after", "skip"] | None = Field(None, description="Absent: as in Debian's cron.")
    on_repeated: Literal["first", "second", "both"] | None = Field(None, description="Absent: as in Debian's cron.")


class WaitStep(StepFields):
    """Waits for a time to pass, for a moment, or for an event."""

    type: Literal["WAIT"]
    duration: float | str | None = Field(None, description="Seconds, '10m', or '{{ … }}' that gives either.")
    until: str | None = Field(None, description="An RFC 3339 moment, or '{{ … }}' that gives one.")
    event: Name | None = None
    key: str | None = None
    output_key: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> WaitStep:
        if sum(each is not None for each in (self.duration, self.until, self.event)) != 1:
            raise ValueError("a WAIT step has one of `duration`, `until` and `event`")
        if self.key is not None and self.event is None:
            raise ValueError("`key` belongs to `event`")
        return self


class JumpStep(StepFields):
    """Goes on at another step."""

    type: Literal["JUMP"]
    target_step: Name


def _type_of(step: Any) -> str | None:
    named = step.get("type", "STANDARD") if isinstance(step, dict) else getattr(step, "type", None)
    return named if isinstance(named, str) else None


Step = Annotated[
    Annotated[StandardStep, Tag("STANDARD")]
    | Annotated[AsyncStep, Tag("ASYNC")]
    | Annotated[DecisionStep, Tag("DECISION")]
    | Annotated[ParallelStep, Tag("PARALLEL")]
    | Annotated[SubWorkflowStep, Tag("SUB_WORKFLOW")]
    | Annotated[AwaitStep, Tag("AWAIT")]
    | Annotated[HumanInLoopStep, Tag("HUMAN_IN_LOOP")]
    | Annotated[LoopStep, Tag("LOOP")]
    | Annotated[FireAndForgetStep, Tag("FIRE_AND_FORGET")]
    | Annotated[HttpStep, Tag("HTTP")]
    | Annotated[CronScheduleStep, Tag("CRON_SCHEDULE")]
    | Annotated[WaitStep, Tag("WAIT")]
    | Annotated[JumpStep, Tag("JUMP")],
    Discriminator(_type_of),
]

STEP_TYPES: dict[str, type[StepFields]] = {
    "STANDARD": StandardStep,
    "ASYNC": AsyncStep,
    "DECISION": DecisionStep,
    "PARALLEL": ParallelStep,
    "SUB_WORKFLOW": SubWorkflowStep,
    "AWAIT": AwaitStep,
    "HUMAN_IN_LOOP": HumanInLoopStep,
    "LOOP": LoopStep,
    "FIRE_AND_FORGET": FireAndForgetStep,
    "HTTP": HttpStep,
    "CRON_SCHEDULE": CronScheduleStep,
    "WAIT": WaitStep,
    "JUMP": JumpStep,
}


class InjectionRule(Section):
    """Steps that are run after this one when a value of the state matches."""

    condition_key: Path
    value_match: Json = None
    value_is_not: list[Json] | None = None
    action: Literal["INSERT_AFTER_CURRENT"] = "INSERT_AFTER_CURRENT"
    steps_to_insert: list[Step] = Field(min_length=1, max_length=_AT_MOST_STEPS)

    @model_validator(mode="after")
    def _one(self) -> InjectionRule:
        if self.matches_value == (self.value_is_not is not None):
            raise ValueError("a rule has either `value_match` or `value_is_not`")
        return self

    @property
    def matches_value(self) -> bool:
        """Whether the rule is one of `value_match`; the value may be null."""
        return "value_match" in self.model_fields_set


class DynamicInjection(Section):
    """Every rule that matches inserts its steps, in the order of the rules; or `condition` inserts `steps` when it holds."""

    rules: list[InjectionRule] = Field(default=[], max_length=100)
    condition: str | None = None
    steps: list[Step] = Field(default=[], max_length=_AT_MOST_STEPS)
    insert_after: Name | None = Field(None, description="Accepted; steps are inserted after the one that says so.")
    audit_injection: Flag = Field(default=True, description="Accepted; what was inserted is always recorded.")

    @model_validator(mode="after")
    def _one(self) -> DynamicInjection:
        if bool(self.rules) == (self.condition is not None) or bool(self.rules) == bool(self.steps):
            raise ValueError("dynamic_injection has either `rules`, or `condition` and `steps`")
        return self

    def lists(self) -> Iterator[tuple[Loc, list[Step]]]:
        """Every list of steps that may be inserted, with its place below."""
        for number, rule in enumerate(self.rules):
            yield ("rules", number, "steps_to_insert"), rule.steps_to_insert
        if self.steps:
            yield ("steps",), self.steps


class Workflow(Section):
    """A whole workflow file."""

    workflow_type: Word
    workflow_version: Version = "1.0.0"
    initial_state_model: ImportPath | Keyed | None = Field(
        None,
        validation_alias=AliasChoices("initial_state_model", "initial_state_model_path"),
        description="The state: a pydantic model by its import path, or a JSON Schema; absent: any object.",
    )
    description: str | None = None
    result: Json = Field(
        None, description="Expressions over `state`, by field; absent: the merged results of the steps."
    )
    calls: list[Name] | None = Field(None, description="What it may call, with ranges: 'InventoryAllocation@^2'.")
    callers: list[Name] | None = Field(None, description="The departments that may call it.")
    saga_enabled: Flag = Field(default=False, validation_alias=AliasChoices("saga_enabled", "saga_mode"))
    department: Name | None = None
    tags: list[Word] = Field(default=[], description="Words that policies select it by.")
    estimate: Amounts | None = None
    ttl: Duration | None = None
    retry: RetryRule | None = None
    automate_start: Flag = Field(default=True, description="Accepted; a workflow always starts.")
    for_editors: str | None = Field(None, alias="$schema", description="Accepted; where editors find this schema.")
    steps: list[Step] = Field(min_length=1, max_length=_AT_MOST_STEPS)


class RegistryEntry(Section):
    """One workflow of a registry."""

    type: Name
    config_file: Name
    description: str | None = None
    initial_state_model: ImportPath | None = Field(
        None, validation_alias=AliasChoices("initial_state_model", "initial_state_model_path")
    )
    requires: list[str] = Field(default=[])
    deprecated: Flag = False
    parameters: Keyed = Field(default={})


class Registry(Section):
    """`workflow_registry.yaml`: the workflows of a directory."""

    workflows: list[RegistryEntry]
    requires: list[str] = Field(default=[])


_RECURSIVE: tuple[type[Section], ...] = (*STEP_TYPES.values(), InjectionRule, DynamicInjection, Workflow)
for _section in _RECURSIVE:
    _section.model_rebuild()


def walk(steps: list[Step], at: Loc = ("steps",)) -> Iterator[tuple[Loc, Step]]:
    """Every step with its place in the file: those in loops and those that rules insert included, outer before inner."""
    for index, step in enumerate(steps):
        here = (*at, index)
        yield here, step
        if isinstance(step, LoopStep):
            yield from walk(step.loop_body, (*here, "loop_body"))
        if step.dynamic_injection is not None:
            for place, inserted in step.dynamic_injection.lists():
                yield from walk(inserted, (*here, "dynamic_injection", *place))
