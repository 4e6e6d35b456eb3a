"""Conditions: expressions that decide on plain data, read once and then worked out in a microsecond (L38).

A reader of its own, not Python's: it names the column of every fault in characters and what to write instead, reads
`| filter`, `true` and `null`, gives the same errors on every Python, and its depth is bounded by itself, not by a stack.

    state.amount > 10000 and state.country not in ['US', 'CA']
    state.items | length >= 3 or state.notes | default('') | trim == ''
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remit.kernel.expressions.nodes import Run, decision
from remit.kernel.expressions.plain import ConditionFailed, Work
from remit.kernel.expressions.reader import Reader
from remit.kernel.expressions.tokens import ConditionError, Token, shortened, tokenise

__all__ = ["Condition", "ConditionError", "ConditionFailed", "parse", "parse_at"]

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that was read: what it reads, and how to work it out."""

    text: str
    paths: tuple[Path, ...]  # what it reads: ("state", "order", "id"); as far as it is known before it runs
    path: Path | None  # where the whole expression is nothing but a path
    run: Run
    decide: Run

    @property
    def is_constant(self) -> bool:
        """Whether it reads nothing, so that its value is known before it runs."""
        return not self.paths

    def evaluate(self, names: Mapping[str, Any], work: Work | None = None) -> Any:
        """The value for these names; raises ConditionFailed, which says which part failed and what it found."""
        return self._worked_out(self.run, names, work or Work())

    def holds(self, names: Mapping[str, Any]) -> bool:
        """Whether the value counts as true; raises ConditionFailed as `evaluate` does."""
        return bool(self._worked_out(self.decide, names, Work()))

    def _worked_out(self, run: Run, names: Mapping[str, Any], work: Work) -> Any:
        try:
            return run(names, work)
        except ConditionFailed as failure:
            failure.details.setdefault("condition", self.text)
            raise
        except RecursionError:
            part = shortened(self.text)
            raise ConditionFailed(f"{part}: the values are nested too deeply", condition=self.text) from None


def parse(text: str, roots: frozenset[str], default_root: str | None = None) -> Condition:
    """Read a condition; raises ConditionError. A name that is no root is a field of `default_root`, where one is given."""
    return _read(text, tokenise(text), text, roots, default_root)


def parse_at(text: str, start: int, roots: frozenset[str], default_root: str | None = None) -> tuple[Condition, int]:
    """Read the expression that begins at `start` and ends before `}}`; also gives where the text goes on."""
    tokens = tokenise(text, start, closing=True)
    end = tokens[-1].end
    return _read(text, tokens, text[start:end].strip(), roots, default_root), end + 2


def _read(text: str, tokens: list[Token], own: str, roots: frozenset[str], default_root: str | None) -> Condition:
    reader = Reader(text, tokens, roots, default_root)
    node = reader.read()
    return Condition(own, tuple(reader.paths), node.path, node.run, decision(node.run, shortened(own)))
