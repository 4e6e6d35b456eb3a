"""What is read of Python beside a workflow without importing it: the directives of functions, the fields of models."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from remit.workflows.checking.code import UNKNOWN, Code, Modules
from remit.workflows.checking.contracts import ANYTHING, OPEN, Contract, FieldKind, model_contract, schema_contract
from remit.workflows.importing.functions import locate


def code_of(tmp_path: Path, body: str, name: str = "act") -> Code:
    (tmp_path / "steps.py").write_text(textwrap.dedent(body))
    return Modules().read(locate(f"steps.{name}", tmp_path))


def started(tmp_path: Path, body: str) -> list[tuple[str, dict[str, Any] | None, bool]]:
    return [(each.workflow_type, each.data, each.whole_state) for each in code_of(tmp_path, body).starts]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        ('StartSubWorkflowDirective("A", {"x": 1, "y": state.y})', ("A", {"x": 1, "y": UNKNOWN}, False)),
        ('StartSubWorkflowDirective(workflow_type="A", initial_data=dict(x=1))', ("A", None, False)),
        ('StartSubWorkflowDirective("A", {"x": 1, **more})', ("A", None, False)),
        ('remit.workflows.StartSubWorkflowDirective("A", state.dict())', ("A", None, True)),
        ('StartSubWorkflowDirective("A", state.model_dump(mode="json"))', ("A", None, True)),
        ('StartSubWorkflowDirective("A", state.model_dump(include={"x"}))', ("A", None, False)),
        ('StartSubWorkflowDirective("A", dict(state))', ("A", None, True)),
        ('StartSubWorkflowDirective("A", {**state.model_dump()})', ("A", None, True)),
        ('StartSubWorkflowDirective("A", state.__dict__)', ("A", None, True)),
        ('StartSubWorkflowDirective("A", state)', ("A", None, True)),
        ('StartSubWorkflowDirective("A", other.dict())', ("A", None, False)),
        ('StartSubWorkflowDirective("A")', ("A", None, False)),
    ],
)
def test_what_a_function_starts_and_passes_on(tmp_path: Path, raised: str, expected: Any) -> None:
    assert started(tmp_path, f"def act(state, context):\n    raise {raised}\n") == [expected]


def test_names_that_are_assigned_once_stand_for_their_value(tmp_path: Path) -> None:
    body = """
        KIND = "A"
        def act(state, context):
            data = state.dict()
            raise StartSubWorkflowDirective(KIND, data)
        """
    assert started(tmp_path, body) == [("A", None, True)]
    twice = body.replace("data = state.dict()", "data = {}\n            data = state.dict()")
    assert started(tmp_path, twice) == [("A", None, False)]


def test_directives_are_found_under_other_names_and_in_functions_that_are_called(tmp_path: Path) -> None:
    body = """
        from remit.workflows import StartSubWorkflowDirective as Start, WorkflowJumpDirective as Jump
        async def act(state, context):
            if state.x:
                await further(state)
            raise Jump("There" if state.y else "Here")
        async def further(state):
            return act, Start("A", version="^2"), further(state)
        def elsewhere(state):
            raise Start("B")
        """
    found = code_of(tmp_path, body)
    assert [(each.workflow_type, each.version) for each in found.starts] == [("A", "^2")]
    assert [each.target for each in found.jumps] == ["There", "Here"]
    assert found.jumps[0].place == "steps.py:6"
    assert not found.jumps_anywhere


@pytest.mark.parametrize("target", ["state.where", "f'{state.x}'", "'A' if x else y", "choose()", ""])
def test_a_jump_that_the_source_does_not_name_may_lead_anywhere(tmp_path: Path, target: str) -> None:
    found = code_of(tmp_path, f"def act(state, context):\n    raise WorkflowJumpDirective({target})\n")
    assert found.jumps_anywhere
    assert found.jumps == ()


def test_a_function_that_is_made_and_not_written_may_do_anything(tmp_path: Path) -> None:
    assert code_of(tmp_path, "act = make()\n") == Code(jumps_anywhere=True)


def contract_of(tmp_path: Path, body: str, name: str = "State") -> Contract:
    (tmp_path / "models.py").write_text(textwrap.dedent(body))
    return model_contract(locate(f"models.{name}", tmp_path), tmp_path.resolve(), ())


def test_a_plain_model_is_read(tmp_path: Path) -> None:
    body = """
        from pydantic import BaseModel, Field
        from typing import Annotated, ClassVar, Optional, Union, List
        class State(BaseModel):
            a: str
            b: int = 3
            c: Optional[float]
            d: list[str] = Field(default_factory=list)
            e: "dict | None" = None
            f: Annotated[bool, Field(description="x")]
            g: Union[int, str]
            h: List[int] = Field(..., min_length=1)
            i: Decimal
            KIND: ClassVar[str] = "x"
            _hidden: int = 1
            def method(self) -> int: ...
        """
    contract = contract_of(tmp_path, body)
    assert contract.closed
    assert contract.required == ("a", "c", "f", "g", "h", "i")
    assert {name: set(each.kinds) for name, each in contract.fields.items() if each.kinds != ANYTHING} == {
        "a": {"text"},
        "b": {"integer"},
        "c": {"number", "integer", "nothing"},
        "d": {"list"},
        "e": {"mapping", "nothing"},
        "f": {"boolean"},
        "g": {"integer", "text"},
        "h": {"list"},
    }


def test_bases_are_read_where_they_are_as_plain(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text(
        "from pydantic import BaseModel\nclass Traced(BaseModel):\n    a: str\n    b: int = 1\n"
    )
    body = "from shared import Traced\nclass State(Traced):\n    b: int\n    c: str = ''\n"
    assert contract_of(tmp_path, body).required == ("a", "b")
    assert contract_of(tmp_path, "from elsewhere import Traced\nclass State(Traced):\n    b: int\n") is OPEN
    assert contract_of(tmp_path, "class State(Unknown):\n    b: int\n") is OPEN
    assert contract_of(tmp_path, "class State:\n    b: int\n") is OPEN
    assert contract_of(tmp_path, "class A(State): ...\nclass State(A):\n    b: int\n") is OPEN


@pytest.mark.parametrize(
    ("line", "closed"),
    [
        ("model_config = ConfigDict(extra='allow')", False),
        ("model_config = {'extra': 'allow'}", False),
        ("model_config = ConfigDict(extra='forbid')", True),
        ("model_config = ConfigDict(frozen=True)", True),
        ("class Config:\n        extra = 'allow'", False),
    ],
)
def test_whether_a_model_keeps_other_fields_is_read(tmp_path: Path, line: str, closed: bool) -> None:
    body = f"from pydantic import BaseModel, ConfigDict\nclass State(BaseModel):\n    a: str\n    {line}\n"
    assert contract_of(tmp_path, body) == Contract({"a": FieldKind(True, frozenset({"text"}))}, closed, exact=True)


@pytest.mark.parametrize(
    "line",
    [
        "b: int = Field(alias='c')",
        "b: int = Field(validation_alias='c')",
        "b: Annotated[int, Field(alias='c')] = 1",
        "b: int = Field(**more)",
        "model_config = ConfigDict(alias_generator=to_camel)",
        "model_config = ConfigDict(extra=EXTRA)",
    ],
)
def test_what_goes_by_other_names_is_not_guessed(tmp_path: Path, line: str) -> None:
    body = f"from pydantic import BaseModel, ConfigDict, Field\nclass State(BaseModel):\n    a: str\n    {line}\n"
    assert contract_of(tmp_path, body) is OPEN


def test_a_model_that_fills_itself_in_requires_nothing_that_is_known(tmp_path: Path) -> None:
    body = """
        from pydantic import BaseModel, model_validator
        class State(BaseModel):
            a: str
            @model_validator(mode="before")
            @classmethod
            def fill(cls, value): ...
        """
    contract = contract_of(tmp_path, body)
    assert (contract.required, contract.closed, set(contract.fields)) == ((), True, {"a"})


def test_a_schema_states_its_contract() -> None:
    schema = {
        "type": "object",
        "required": ["a", "z"],
        "properties": {"a": {"type": ["string", "null"]}, "b": {"$ref": "#/x"}, "c": True},
        "additionalProperties": False,
    }
    assert schema_contract(schema) == Contract(
        {
            "a": FieldKind(True, frozenset({"text", "nothing"})),
            "b": FieldKind(False),
            "c": FieldKind(False),
            "z": FieldKind(True),
        },
        closed=True,
        exact=True,
    )
    assert schema_contract({"allOf": [schema]}) is OPEN
    assert schema_contract({}) == Contract(exact=True)


@pytest.mark.parametrize(
    ("kinds", "value", "taken"),
    [
        ({"text"}, "a", True),
        ({"text"}, 1, False),
        ({"integer"}, "12", True),
        ({"integer"}, "twelve", False),
        ({"integer"}, 1.0, True),
        ({"integer"}, 1.5, False),
        ({"number", "integer"}, 1, True),
        ({"boolean"}, 1, True),
        ({"boolean"}, 2, False),
        ({"boolean"}, "yes", True),
        ({"list"}, "text", False),
        ({"list"}, [1], True),
        ({"mapping"}, [1], False),
        ({"nothing", "text"}, None, True),
        ({"text"}, None, False),
        ({"integer"}, True, False),
    ],
)
def test_a_literal_is_refused_only_where_it_can_never_be_taken(kinds: set[str], value: Any, taken: bool) -> None:
    assert FieldKind(True, frozenset(kinds)).takes(value) is taken
