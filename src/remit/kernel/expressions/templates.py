"""Templates: JSON-like structures whose strings hold `{{ expression }}`, and maps whose strings are expressions (L38).

template({"url": "/users/{{ state.user_id }}", "amount": "{{ state.amount }}"}, roots)    # the amount stays a number
expression_map({"order_id": "state.order_id", "mode": "'express'", "limit": 3}, roots)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from remit.kernel.expressions.conditions import Condition, parse, parse_at
from remit.kernel.expressions.filters import as_text
from remit.kernel.expressions.operators import CHARS_MAX
from remit.kernel.expressions.plain import ConditionFailed, Work
from remit.kernel.expressions.tokens import ConditionError, Where

__all__ = ["Template", "expression_map", "template"]

DEPTH_MAX = 32
EXPRESSIONS_MAX = 1_000

Render = Callable[[Mapping[str, Any], Work], Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A structure that was read: what it reads, which leaves are one expression each, and how to fill it in."""

    paths: tuple[tuple[str, ...], ...]
    conditions: Mapping[Where, Condition]  # by the keys that lead to the leaf
    run: Render

    def render(self, names: Mapping[str, Any]) -> Any:
        """The structure with values in place of expressions, made anew; raises ConditionFailed, whose `details` say `where`."""
        return self.run(names, Work())


def template(value: Any, roots: frozenset[str], default_root: str | None = None) -> Template:
    """Read a template; raises ConditionError, which says `where` and holds the `others`.

    A string that is one `{{ expression }}` gives its typed value; with text around it, text.
    """
    return _Builder(roots, default_root, strings_are_expressions=False).build(value)


def expression_map(value: Any, roots: frozenset[str], default_root: str | None = None) -> Template:
    """Read a map such as a step's `input`: every string is an expression, or a template where it holds `{{`."""
    return _Builder(roots, default_root, strings_are_expressions=True).build(value)


class _Builder:
    def __init__(self, roots: frozenset[str], default_root: str | None, *, strings_are_expressions: bool) -> None:
        self._roots = roots
        self._default_root = default_root
        self._strings_are_expressions = strings_are_expressions
        self._found: list[Condition] = []
        self._lone: dict[Where, Condition] = {}
        self._errors: list[ConditionError] = []

    def build(self, value: Any) -> Template:
        run = self._part(value, ())
        if self._errors:
            first, *others = self._errors
            first.others = tuple(others)
            raise first
        if self._too_many():
            beyond = self._found[EXPRESSIONS_MAX].text
            raise ConditionError(beyond, 0, f"a template holds at most {EXPRESSIONS_MAX} expressions")
        paths = dict.fromkeys(path for condition in self._found for path in condition.paths)
        return Template(tuple(paths), self._lone, run)

    def _part(self, value: Any, where: Where) -> Render:
        if len(where) > DEPTH_MAX:
            raise ConditionError(repr(where[0]), 0, f"a template is nested deeper than {DEPTH_MAX}")
        if isinstance(value, str):
            return self._string(value, where)
        if isinstance(value, dict):
            parts = [(self._key(key, where), self._part(item, (*where, key))) for key, item in value.items()]
            return lambda names, work: {key: part(names, work) for key, part in parts}
        if isinstance(value, list | tuple):
            items = [self._part(item, (*where, place)) for place, item in enumerate(value)]
            return lambda names, work: [item(names, work) for item in items]
        return lambda _names, _work: value

    def _key(self, key: Any, where: Where) -> Any:
        if isinstance(key, str) and "{{" in key:
            self._wrong(ConditionError(key, key.index("{{"), "a key holds no expression"), (*where, key))
        return key

    def _wrong(self, error: ConditionError, where: Where) -> None:
        error.where = where
        self._errors.append(error)

    def _too_many(self, more: int = 0) -> bool:
        """Whether the limit is passed already: the template is refused, and the rest of it is not read."""
        return len(self._found) + more > EXPRESSIONS_MAX

    def _string(self, text: str, where: Where) -> Render:
        if not self._too_many():
            try:
                return self._read(text, where)
            except ConditionError as error:
                self._wrong(error, where)
        return lambda _names, _work: None

    def _read(self, text: str, where: Where) -> Render:
        bare = self._strings_are_expressions and "{{" not in text
        pieces = self._bare(text) if bare else self._pieces(text)
        self._found += [piece for piece in pieces if isinstance(piece, Condition)]
        filled = [piece for piece in pieces if not isinstance(piece, str) or piece.strip()]
        if len(filled) == 1 and isinstance(filled[0], Condition):
            return self._one(filled[0], where)
        if not any(isinstance(piece, Condition) for piece in pieces):
            return lambda _names, _work: text
        return _mixed(pieces, where)

    def _one(self, condition: Condition, where: Where) -> Render:
        self._lone[where] = condition
        return lambda names, work: _filled(condition, where, names, work, as_part=False)

    def _bare(self, text: str) -> list[str | Condition]:
        return [parse(text, self._roots, self._default_root)]

    def _pieces(self, text: str) -> list[str | Condition]:
        pieces: list[str | Condition] = []
        here = 0
        while not self._too_many(len(pieces) // 2) and (opening := text.find("{{", here)) >= 0:
            pieces.append(_literal(text, here, opening))
            if text.startswith("{{-", opening):
                raise ConditionError(text, opening, "'{{-' would take the sign; blanks are kept as they stand", "{{ -")
            condition, here = parse_at(text, opening + 2, self._roots, self._default_root)
            pieces.append(condition)
        pieces.append(_literal(text, here, len(text)))
        return pieces


def _literal(text: str, start: int, end: int) -> str:
    for mark in ("{%", "{#"):
        at = text.find(mark, start, end)
        if at >= 0:
            raise ConditionError(text, at, f"there are no statements or comments such as {mark}", f"{{{{ '{mark}' }}}}")
    return text[start:end]


def _filled(condition: Condition, where: Where, names: Mapping[str, Any], work: Work, *, as_part: bool) -> Any:
    try:
        value = condition.evaluate(names, work)
        work.part = condition.text
        return as_text(value, work) if as_part else value
    except ConditionFailed as failure:
        failure.details.update(condition=condition.text, where=list(where))
        raise


def _mixed(pieces: list[str | Condition], where: Where) -> Render:
    def run(names: Mapping[str, Any], work: Work) -> str:
        parts = [
            piece if isinstance(piece, str) else _filled(piece, where, names, work, as_part=True) for piece in pieces
        ]
        if sum(map(len, parts)) > CHARS_MAX:
            raise ConditionFailed(f"a text would have more than {CHARS_MAX} characters", where=list(where))
        return "".join(parts)

    return run
