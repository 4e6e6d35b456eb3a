"""The contract check never calls compatible what is not, and no witness lies (L41): schemas, and values, made by chance."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from remit.kernel.contract.comparison import Kind, compare, is_compatible
from remit.kernel.contract.keywords import KEYWORDS as KEYWORDS_READ
from remit.kernel.contract.keywords import WRITTEN
from remit.kernel.contract.schema import ANNOTATIONS, APPLIED
from tests.kernel.contract_made import NAMES, SCALARS, closed, fits, instances, neighbours, schemas

EXAMPLES = 20_000 if os.environ.get("REMIT_LONG") else 50
pytestmark = pytest.mark.timeout(3_600)  # the long run makes 20,000 pairs for each property
ROLES = st.sampled_from(["input", "result"])


def _made(test: Any) -> Any:
    unhurried = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    return unhurried(given(st.data())(test))


def _pair(data: st.DataObject) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two schemas, mostly such that differ little; what one of them gives, the other should take."""
    giving = data.draw(schemas())
    taking = data.draw(st.one_of(neighbours(giving), neighbours(giving), schemas()))
    return (giving, taking) if data.draw(st.booleans()) else (taking, giving)


def _in_order(giving: Any, taking: Any, role: str) -> tuple[Any, Any]:
    """A result is given by the new version, an input by callers of the old one."""
    return (taking, giving) if role == "result" else (giving, taking)


@_made
def test_L41_what_is_called_compatible_has_no_counterexample(data) -> None:
    """Further fields are spoken of in every object here, so that a schema means what `jsonschema` takes it for."""
    giving, taking = _pair(data)
    role = data.draw(ROLES)
    assume(is_compatible(compare(*_in_order(giving, taking, role), role)))
    for value in data.draw(st.lists(instances(giving), min_size=8, max_size=8)):
        assert not (fits(giving, value) and fits(taking, value) is False), value


@_made
def test_L41_a_witness_shows_what_it_is_said_to_show(data) -> None:
    giving, taking = _pair(data)
    role = data.draw(ROLES)
    for each in compare(*_in_order(giving, taking, role), role):
        if each.witness is not None:
            assert each.kind is Kind.BREAKS
            assert fits(giving, json.loads(each.witness)) is not False, each
            assert fits(taking, json.loads(each.witness)) is not True, each


@_made
def test_L41_what_breaks_breaks(data) -> None:
    """The other way round: where every value that was found fits both, it is rare that something is said to break."""
    schema = data.draw(schemas())
    role = data.draw(ROLES)
    renamed = json.loads(json.dumps(schema).replace("#/$defs/one", "#/$defs/first"))
    renamed["$defs"] = {**renamed["$defs"], "first": renamed["$defs"]["one"]}
    assert [each for each in compare(schema, renamed, role) if each.kind is Kind.BREAKS] == []


@_made
def test_L41_an_object_that_says_nothing_of_other_fields_has_none_in_a_result(data) -> None:
    old, new = _pair(data)
    silent = _silent(new)
    assume(not re.search('"(if|not)":', json.dumps(silent)))  # to close what is excluded would let more in
    assume(is_compatible(compare(old, silent, "result")))
    for value in data.draw(st.lists(instances(closed(silent)), min_size=8, max_size=8)):
        given_so = fits(silent, value) and fits(closed(silent), value)
        assert not (given_so and fits(old, value) is False), value


KEYWORDS = [*KEYWORDS_READ, *APPLIED, *WRITTEN, *ANNOTATIONS, "minContains", "dependencies", "x-note"]
garbage = st.recursive(
    st.sampled_from(
        [*SCALARS, 1e308, -1e308, 5e-324, 10**150, "#", "#/", "#/$defs/one/properties/a", "#/allOf/0", "integer"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYWORDS, *NAMES]), inner, max_size=4)
    ),
    max_leaves=12,
)


@_made
def test_L48_no_schema_however_odd_makes_the_check_fail(data) -> None:
    odd = data.draw(garbage)
    other = data.draw(st.one_of(garbage, schemas(), st.just({"allOf": [odd, {}]})))
    for role in ("input", "result"):
        for pair in ((odd, other), (other, odd)):
            assert all(isinstance(each.kind, Kind) and str(each) for each in compare(*pair, role))


def _silent(part: Any) -> Any:
    if isinstance(part, list):
        return [_silent(each) for each in part]
    if not isinstance(part, dict):
        return part
    kept = {key: each for key, each in part.items() if key != "additionalProperties" or each is not True}
    return {key: _silent(each) if key not in {"enum", "const"} else each for key, each in kept.items()}
