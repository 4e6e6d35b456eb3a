"""Reads the words of an expression into closures, by how tightly each operator binds (L38).

choice:  a if b else c       or, and, not       comparison, in, is       + -       * / // %       value | filter
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remit.kernel.expressions import nodes
from remit.kernel.expressions.filters import FILTERS
from remit.kernel.expressions.nodes import Node, Run
from remit.kernel.expressions.tokens import ConditionError, Token, nearest, quoted, shortened

__all__ = ["Reader"]

NODES_MAX = 500
DEPTH_MAX = 40

# How tightly a word binds what stands on its left; `not` is the first word of `not in`.
_BINDS = {
    "if": 1,
    "or": 2,
    "and": 3,
    **dict.fromkeys(("not", "in", "is", "==", "!=", "<", "<=", ">", ">="), 5),
    **dict.fromkeys(("+", "-"), 6),
    **dict.fromkeys(("*", "/", "//", "%"), 7),
    "|": 8,
}
_LOOSEST, _NOT, _SUM, _PREFIX = 1, 4, 6, 9

_LITERALS = {"True": True, "true": True, "False": False, "false": False, "None": None, "none": None, "null": None}
_WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else"})
_FOREIGN = {
    "&&": "and",
    "&": "and",
    "AND": "and",
    "||": "or",
    "OR": "or",
    "!": "not",
    "NOT": "not",
    "IN": "in",
    "IS": "is",
    **dict.fromkeys(("=", "===", ":="), "=="),
    **dict.fromkeys(("!==", "<>"), "!="),
    "=<": "<=",
    "=>": ">=",
    "TRUE": "true",
    "FALSE": "false",
    **dict.fromkeys(("NULL", "nil", "undefined"), "null"),
}
_AS_FILTER = {"len": "length", "str": "string", "strip": "trim"} | {name: name for name in FILTERS}


class Reader:
    """One reading of one expression; `paths` gathers what it reads."""

    def __init__(self, text: str, tokens: list[Token], roots: frozenset[str], default_root: str | None) -> None:
        self.paths: dict[tuple[str, ...], None] = {}
        self._text = text
        self._tokens = tokens
        self._roots = roots
        self._default_root = default_root
        self._place = 0
        self._nodes = 0
        self._depth = 0

    def read(self) -> Node:
        """The whole expression; raises ConditionError."""
        if self._now.kind == "end":
            raise self._error("here should be an expression", self._now, "'' for an empty text")
        node = self._expression(_LOOSEST)
        if self._now.kind != "end":
            raise self._unexpected("an operator")
        return node

    # ------------------------------------------------------------------------------------------------------ the words

    @property
    def _now(self) -> Token:
        return self._tokens[self._place]

    def _take(self) -> Token:
        token = self._now
        self._place += token.kind != "end"
        return token

    def _skip(self, *symbols: str) -> str | None:
        """Take the next word if it is one of these."""
        return self._take().text if self._now.kind != "string" and self._now.text in symbols else None

    def _close(self, symbol: str, opened: Token) -> None:
        if not self._skip(symbol):
            if self._now.kind == "end":
                raise self._error(f"{opened.text!r} is not closed", opened)
            raise self._unexpected(repr(symbol))

    def _span(self, start: int) -> str:
        return shortened(self._text[start : self._tokens[self._place - 1].end])

    def _node(self, run: Run, start: int, *below: Node, path: tuple[str, ...] | None = None) -> Node:
        self._nodes += 1
        depth = 1 + max((node.depth for node in below), default=0)
        if self._nodes > NODES_MAX or depth > 2 * DEPTH_MAX:
            raise ConditionError(self._text, start, "the expression is too long; work this out in a step")
        return Node(run, start, depth, path)

    # ----------------------------------------------------------------------------------------------------- operators

    def _expression(self, least: int) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._error(f"the expression is nested deeper than {DEPTH_MAX}", self._now)
        left = self._prefix(least)
        while self._now.kind in {"symbol", "name"} and _BINDS.get(self._now.text, 0) >= least:
            left = self._infix(left, self._now.text)
        self._depth -= 1
        return left

    def _infix(self, left: Node, word: str) -> Node:
        if word in {"and", "or"}:
            return self._either(left, word)
        if word == "if":
            return self._choice(left)
        if word == "|":
            return self._filter(left)
        if _BINDS[word] < _SUM:
            return self._comparison(left)
        self._take()
        right = self._expression(_BINDS[word] + 1)
        run = nodes.arithmetic(word, left.run, right.run, self._span(left.start))
        return self._node(run, left.start, left, right)

    def _either(self, left: Node, word: str) -> Node:
        operands = [left]
        while self._skip(word):
            operands.append(self._expression(_BINDS[word] + 1))
        run = nodes.either(word, [operand.run for operand in operands], self._span(left.start))
        return self._node(run, left.start, *operands)

    def _choice(self, then: Node) -> Node:
        opened = self._take()
        test = self._expression(_BINDS["or"])
        if not self._skip("else"):
            raise self._error("'if' has no 'else'", opened)
        otherwise = self._expression(_LOOSEST)
        run = nodes.choice(test.run, then.run, otherwise.run, self._span(then.start))
        return self._node(run, then.start, test, then, otherwise)

    def _comparison(self, left: Node) -> Node:
        others: list[tuple[str, Node]] = []
        while self._now.kind != "string" and _BINDS.get(self._now.text) == _BINDS["in"]:
            symbol = self._symbol()
            others.append((symbol, self._compared(symbol)))
        run = nodes.comparison(left.run, [(symbol, node.run) for symbol, node in others], self._span(left.start))
        return self._node(run, left.start, left, *(node for _, node in others))

    def _symbol(self) -> str:
        word = self._take()
        if word.text == "is":
            return "is not" if self._skip("not") else "is"
        if word.text == "not":
            if not self._skip("in"):
                raise self._unexpected("'in' after 'not'")
            return "not in"
        return word.text

    def _compared(self, symbol: str) -> Node:
        word = self._now
        if symbol in {"is", "is not"} and (word.kind != "name" or word.text not in _LITERALS):
            if word.text == "defined":
                raise self._error("there is no test 'defined'", word, "None" if symbol == "is not" else "not None")
            raise self._error(
                f"{symbol!r} stands before None, true or false only",
                word,
                f"{'==' if symbol == 'is' else '!='} for 'is'",
            )
        if symbol in {"in", "not in"} and word.text == "{" and word.kind == "symbol":
            return self._braces(self._take(), set_allowed=True)
        return self._expression(_SUM)

    def _filter(self, base: Node) -> Node:
        self._take()
        word = self._take()
        found = FILTERS.get(word.text) if word.kind == "name" else None
        if found is None:
            near = nearest(word.text, FILTERS)
            raise self._error(f"there is no filter {quoted(word.text)}; there are {', '.join(FILTERS)}", word, *near)
        given = self._arguments(word, found.arguments)
        if len(given) < found.required:
            raise self._error(f"the filter {quoted(word.text)} needs an argument", word, f"{word.text}(…)")
        arguments = {name: node.run for name, node in given.items()}
        run = nodes.filtered(found, base.run, arguments, self._span(base.start))
        return self._node(run, base.start, base, *given.values())

    def _arguments(self, word: Token, names: Sequence[str]) -> dict[str, Node]:
        given: dict[str, Node] = {}
        opened = self._now
        if not self._skip("("):
            return given
        while not self._skip(")"):
            at, name = self._now, next((name for name in names if name not in given), None)
            if at.kind == "name" and self._tokens[self._place + 1].text == "=":
                name = at.text if at.text in names else None
                self._place += 2
            if name is None or name in given:
                takes = f"takes {', '.join(names)}" if names else "takes no arguments"
                raise self._error(f"the filter {quoted(word.text)} {takes}", at)
            given[name] = self._expression(_LOOSEST)
            if not self._skip(","):
                self._close(")", opened)
                break
        return given

    # -------------------------------------------------------------------------------------------------------- values

    def _prefix(self, least: int) -> Node:
        token = self._take()
        if token.kind in {"number", "string"}:
            return self._postfix(self._node(nodes.constant(token.value), token.start))
        if token.kind == "name":
            return self._named(token, least)
        if token.text in {"-", "+"}:
            operand = self._expression(_PREFIX)
            return self._node(nodes.signed(token.text, operand.run, self._span(token.start)), token.start, operand)
        if token.text == "(":
            return self._postfix(self._brackets(token, ")", tuple))
        if token.text == "[":
            return self._postfix(self._brackets(token, "]", list))
        if token.text == "{":
            return self._postfix(self._braces(token, set_allowed=False))
        self._place -= token.kind != "end"
        raise self._unexpected("a value")

    def _named(self, token: Token, least: int) -> Node:
        if token.text in _LITERALS:
            return self._node(nodes.constant(_LITERALS[token.text]), token.start)
        if token.text == "not":
            if least > _NOT:
                raise self._error("'not' needs brackets around it here", token, "(not …)")
            operand = self._expression(_NOT)
            return self._node(nodes.negation(operand.run, self._span(token.start)), token.start, operand)
        if (
            token.text in _WORDS
            or token.text in _FOREIGN
            or (self._now.kind == "string" and self._now.start == token.end)
        ):
            self._place -= 1
            raise self._unexpected("a value")
        if self._skip("("):
            raise self._call(token, token.text, None)
        if token.text in self._roots:
            return self._postfix(self._node(nodes.root(token.text), token.start, path=(token.text,)))
        if self._default_root is None or token.text.startswith("__"):
            raise self._unknown(token)
        run = nodes.attribute(nodes.root(self._default_root), token.text, token.text)
        return self._postfix(self._node(run, token.start, path=(self._default_root, token.text)))

    def _brackets(self, opened: Token, closing: str, kind: type[list[Any] | tuple[Any, ...]]) -> Node:
        items: list[Node] = []
        lone = False
        while not self._skip(closing):
            items.append(self._expression(_LOOSEST))
            lone = not self._skip(",")
            if lone:
                self._close(closing, opened)
                break
        if kind is tuple and lone and len(items) == 1:
            return items[0]._replace(start=opened.start, path=None)
        return self._node(nodes.sequence([item.run for item in items], kind), opened.start, *items)

    def _braces(self, opened: Token, *, set_allowed: bool) -> Node:
        items: list[tuple[Token, Node | None, Node]] = []
        if self._now.text == "{" and self._now.start == opened.end:
            raise self._error("an expression stands here without {{ }}", opened)
        while not self._skip("}"):
            word, first = self._now, self._expression(_LOOSEST)
            items.append((word, first, self._expression(_LOOSEST)) if self._skip(":") else (word, None, first))
            if not self._skip(","):
                self._close("}", opened)
                break
        below = [node for item in items for node in item[1:] if node]
        if all(key is not None and word.kind == "string" and key.depth == 1 for word, key, _ in items):
            pairs = [(str(word.value), value.run) for word, _, value in items]
            return self._node(nodes.dictionary(pairs), opened.start, *below)
        if set_allowed and all(key is None for _, key, _ in items):
            return self._node(nodes.sequence([value.run for *_, value in items], list), opened.start, *below)
        raise self._error("braces hold keys in quotes and values; a list stands in [ ]", opened, "{'key': value}")

    def _postfix(self, node: Node) -> Node:
        while self._now.text in {".", "[", "("} and self._now.kind == "symbol":
            opened = self._take()
            if opened.text == "(":
                raise self._call(opened, "", node)
            node = self._attribute(node) if opened.text == "." else self._element(node, opened)
        if self._now.kind == "number" and self._now.text.startswith("."):
            raise self._error("an element is named by its number in brackets", self._now, f"[{self._now.text[1:]}]")
        if node.path:
            self.paths[node.path] = None
        return node

    def _attribute(self, base: Node) -> Node:
        word = self._take()
        if word.kind != "name":
            raise self._error("after '.' should be a name", word)
        if self._now.text == "(" and self._now.kind == "symbol":
            self._take()
            raise self._call(word, word.text, base)
        return self._read(base, word.text, word)

    def _read(self, base: Node, name: str, word: Token) -> Node:
        if name.startswith("__"):
            raise self._error(f"{quoted(name)} cannot be read: two underscores begin what is Python's own", word)
        run = nodes.attribute(base.run, name, self._span(base.start))
        return self._node(run, base.start, base, path=base.path and (*base.path, name))

    def _element(self, base: Node, opened: Token) -> Node:
        word, after = self._now, self._tokens[min(self._place + 1, len(self._tokens) - 1)]
        if word.kind == "string" and after.text == "]":
            self._place += 2
            return self._read(base, str(word.value), word)
        if base.path:
            self.paths[base.path] = None
        key = self._expression(_LOOSEST)
        if self._now.text == ":":
            raise self._error("there are no slices", self._now)
        self._close("]", opened)
        return self._node(nodes.element(base.run, key.run, self._span(base.start)), base.start, base, key)

    # -------------------------------------------------------------------------------------------------------- errors

    def _error(self, problem: str, token: Token, suggestion: str | None = None) -> ConditionError:
        return ConditionError(self._text, token.start, problem, suggestion)

    def _unexpected(self, wanted: str) -> ConditionError:
        token = self._now
        if token.kind == "end":
            return self._error(f"the expression ends where {wanted} should follow", token)
        before = self._tokens[self._place + 1] if token.kind == "name" else token
        if before.kind == "string" and before.start == token.end:
            return self._error(f"a string has no prefix such as {quoted(token.text)}", token, before.text)
        known = _FOREIGN.get(token.text) if token.kind != "string" else None
        return self._error(f"{quoted(token.text)} stands where {wanted} should", token, known)

    def _unknown(self, token: Token) -> ConditionError:
        roots = sorted(self._roots)
        near: Sequence[str] = nearest(token.text, [*roots, *_LITERALS, *sorted(_WORDS)])
        if not near and len(self._tokens) == 2:
            near = [repr(token.text)]
        elif not near and roots:
            near = [f"{'state' if 'state' in roots else roots[0]}.{token.text}"]
        reads = f"an expression reads {', '.join(roots)}; " if roots else ""
        return self._error(f"{quoted(token.text)} is not known here; {reads}text stands in quotes", token, *near)

    def _call(self, word: Token, name: str, base: Node | None) -> ConditionError:
        """The error for `name(…)` or `base.name(…)`, just after the opening bracket, with what does the same."""
        on = "" if base is None else self._text[base.start : word.start].rstrip().removesuffix(".")
        inner, first, rest = self._given()
        same = _AS_FILTER.get(name)
        suggestion = None
        if (on and name == "get") or name in self._roots:
            suggestion = f"{on or name}[{first}]" + (f" | default({rest})" if rest else "")
        elif same and on:
            suggestion = f"{on} | {same}" + (f"({inner})" if inner else "")
        elif same and inner:
            suggestion = f"[{inner}] | {same}" if rest else f"{inner} | {same}"
        return self._error(
            "nothing can be called in an expression; filters are written 'value | filter'", word, suggestion
        )

    def _given(self) -> tuple[str, str, str]:
        """The text up to the closing bracket: whole, up to the first comma, and from there on."""
        start = end = self._now.start
        comma: int | None = None
        depth = 1
        while self._now.kind != "end" and depth:
            token = self._take()
            if token.kind == "symbol":
                depth += (token.text in "([{") - (token.text in ")]}")
                comma = token.start if comma is None and token.text == "," and depth == 1 else comma
            end = token.end if depth else token.start
        first = self._text[start : end if comma is None else comma].strip()
        return self._text[start:end].strip(), first, "" if comma is None else self._text[comma + 1 : end].strip()
