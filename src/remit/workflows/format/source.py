"""YAML read safely: plain data, and for every key and value the line and column where it stands.

Only what JSON can hold comes out of it. The parser's events are built up here and not by the library, so that no tag
makes an object, aliases are counted at their full size, and a file that passes a bound is given up at that place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, Event, MappingStartEvent, NodeEvent, ScalarEvent, SequenceStartEvent
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner

from remit.workflows.format.scalars import offsets

__all__ = ["BYTES_MAX", "DEPTH_MAX", "NODES_MAX", "TEXT_MAX", "Loc", "Node", "Position", "Source", "SourceError", "parse"]

BYTES_MAX = 256 * 1024
"""A workflow of 1,000 steps takes about 150 KiB; the parser reads about 1 MB a second."""
NODES_MAX = 20_000
TEXT_MAX = 20_000
"""Characters of one text, or of a stretch without any mark of YAML in it: the parser takes long over each."""
DEPTH_MAX = 40
_TOO_DEEP = f"This lies more than {DEPTH_MAX} levels deep"

Loc = tuple[str | int, ...]
_MARKS = re.compile(r"[\n\"',:\[\]{}#]")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
"""An anchor or a tag before a text."""
_VALUES = (ScalarEvent, SequenceStartEvent, MappingStartEvent, AliasEvent)
_ONLY_ONE = {"workflow_type": "one file holds one workflow, move the next to a file of its own"}
_CORE = "tag:yaml.org,2002:"
_TAGS = {"scalar": {"str", "int", "float", "bool", "null"}, "sequence": {"seq"}, "mapping": {"map"}}


class Position(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class SourceError(Exception):
    """The text is no YAML that may be read; `code` names the bound or rule."""

    def __init__(self, code: str, message: str, position: Position, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.position = position
        self.suggestion = suggestion


@dataclass(slots=True)
class Node:
    """A value with its place. `children` are by key or index, `keys` are the places of a mapping's keys."""

    value: Any
    line: int
    column: int
    start: int = 0
    end: int = 0
    style: str | None = None
    size: int = 1
    height: int = 1
    children: dict[str | int, Node] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """A file's text, the data it holds, and where each part of it stands."""

    file: str
    text: str
    root: Node

    @property
    def data(self) -> Any:
        """The plain data."""
        return self.root.value

    def node(self, loc: Loc) -> Node:
        """The node at a place, or the last one on the way to it that there is."""
        node = self.root
        for part in loc:
            node = node.children.get(part, node)
        return node

    def position(self, loc: Loc, offset: int = 0) -> Position:
        """Where the value at `loc` begins; for a text, where its character number `offset` stands."""
        node = self.node(loc)
        if node.style is not None and isinstance(node.value, str):
            written = self.text[node.start : node.end]
            before = _PROPERTIES.match(written)
            skipped = before.end() if before is not None else 0
            index = offsets(written[skipped:], node.style, node.value)[min(offset, len(node.value))]
            return self._place(node, skipped + index)
        return Position(self.file, node.line, node.column)

    def key_position(self, loc: Loc) -> Position:
        """Where the key at the end of `loc` stands; the value's place for an index."""
        node = self.node(loc[:-1])
        line, column = node.keys.get(str(loc[-1]), (node.line, node.column)) if loc else (node.line, node.column)
        return Position(self.file, line, column)

    def raw(self, loc: Loc) -> str:
        """The text of a value as it is written."""
        node = self.node(loc)
        return self.text[node.start : node.end]

    def _place(self, node: Node, index: int) -> Position:
        before = self.text[node.start : node.start + index]
        breaks = before.count("\n")
        if not breaks:
            return Position(self.file, node.line, node.column + index)
        return Position(self.file, node.line + breaks, index - before.rindex("\n"))


def parse(text: str, file: str) -> Source:
    """The one document of a text; raises SourceError with the place of what is wrong."""
    size = len(text.encode())
    if size > BYTES_MAX:
        raise SourceError(
            "yaml_too_large",
            f"The file has {size:,} bytes, at most {BYTES_MAX:,} are read: split it into several workflows",
            Position(file, 1, 1),
        )
    _refuse_long_text(text, file)
    try:
        return Source(file, text, _Builder(file).document(_reader().parse(text)))
    except _DeepError as error:
        mark = error.problem_mark
        raise SourceError("yaml_too_deep", _TOO_DEEP, Position(file, mark.line + 1, mark.column + 1)) from None
    except MarkedYAMLError as error:
        unfinished = error.context_mark is not None and re.search("end of stream|stream end", str(error.problem))
        mark = error.context_mark if unfinished else error.problem_mark or error.context_mark
        told = " ".join(part for part in (error.context, error.problem) if part)
        if "'\\t'" in told:
            told += ": indent with spaces, YAML takes no tabs there"
        place = Position(file, mark.line + 1, mark.column + 1) if mark is not None else Position(file, 1, 1)
        raise SourceError("yaml_syntax", f"This is no YAML: {told}", place) from None
    except ReaderError as error:
        before = text[: error.position]
        place = Position(file, before.count("\n") + 1, error.position - before.rfind("\n"))
        character = f"U+{ord(text[error.position]):04X}" if error.position < len(text) else "the end of the file"
        raise SourceError("yaml_syntax", f"{character} may not stand in YAML", place) from None
    except YAMLError as error:
        raise SourceError("yaml_syntax", f"This is no YAML: {error}", Position(file, 1, 1)) from None


def _refuse_long_text(text: str, file: str) -> None:
    if len(text) <= TEXT_MAX:
        return
    at = 0
    for stretch in _MARKS.split(text):
        if len(stretch) > TEXT_MAX:
            raise SourceError("yaml_too_large", _too_long(len(stretch)), _place_of(text, at, file))
        at += len(stretch) + 1


def _too_long(length: int) -> str:
    return f"This text has {length:,} characters, at most {TEXT_MAX:,} are read: give a reference to it instead, or shorten it"


def _place_of(text: str, at: int, file: str) -> Position:
    before = text[:at]
    return Position(file, before.count("\n") + 1, at - before.rfind("\n"))


class _DeepError(MarkedYAMLError):
    """Brackets nest deeper than DEPTH_MAX."""


class _Scanner(Scanner):
    """Gives up at the bracket that is one too many: it reads a line of them ahead, in time that grows with their square.

    Whether another token is needed is asked many times for each; half of the time that reading takes went into that.
    """

    def need_more_tokens(self) -> bool:
        if self.done or not self.tokens:
            return not self.done
        if all(key.token_number != self.tokens_taken for key in self.possible_simple_keys.values()):
            return False
        return bool(super().need_more_tokens())

    def check_token(self, *choices: Any) -> bool:
        while self.need_more_tokens():
            self.fetch_more_tokens()
        return bool(self.tokens) and (not choices or isinstance(self.tokens[0], choices))

    def fetch_flow_collection_start(self, token_class: Any, to_push: str) -> None:
        if self.flow_level > DEPTH_MAX:
            raise _DeepError(problem_mark=self.reader.get_mark())
        super().fetch_flow_collection_start(token_class, to_push)


def _reader() -> YAML:
    reader = YAML(typ="safe", pure=True)
    reader.Scanner = _Scanner
    return reader


class _Builder:
    """Builds nodes from events, counting as it goes; what nests deeper than DEPTH_MAX it does not follow."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._count = 0

    def document(self, events: Iterator[Event]) -> Node:
        """The root of the one document."""
        root: Node | None = None
        for event in events:
            if isinstance(event, _VALUES):
                if root is not None:
                    raise self._error(
                        event,
                        "yaml_documents",
                        "One file holds one workflow: move the next document to a file of its own",
                    )
                root = self._value(event, events, 1)
        return root if root is not None else Node(None, 1, 1)

    def _value(self, event: NodeEvent, events: Iterator[Event], depth: int) -> Node:
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        if depth > DEPTH_MAX:
            raise self._error(event, "yaml_too_deep", _TOO_DEEP)
        self._grow(event, 1)
        mark = event.start_mark
        node = Node(None, mark.line + 1, mark.column + 1, mark.index, event.end_mark.index)
        if event.anchor:
            self._open.add(event.anchor)
        if isinstance(event, ScalarEvent):
            node.style = event.style or "plain"
            node.value = self._scalar(event)
        elif isinstance(event, SequenceStartEvent):
            self._check_tag(event, "sequence")
            self._sequence(node, events, depth)
        else:
            self._check_tag(event, "mapping")
            self._mapping(node, events, depth)
        if event.anchor:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = node
        return node

    def _sequence(self, node: Node, events: Iterator[Event], depth: int) -> None:
        node.value = []
        for event in events:
            if not isinstance(event, _VALUES):
                node.end = event.end_mark.index
                return
            child = self._value(event, events, depth + 1)
            node.children[len(node.value)] = child
            node.value.append(child.value)
            node.size += child.size
            node.height = max(node.height, child.height + 1)

    def _mapping(self, node: Node, events: Iterator[Event], depth: int) -> None:
        node.value = {}
        merged: list[Node] = []
        for event in events:
            if not isinstance(event, _VALUES):
                node.end = event.end_mark.index
                break
            key, is_merge = self._key(event, node)
            value = next(events)
            assert isinstance(value, _VALUES)  # the parser gives a value for every key
            child = self._value(value, events, depth + 1)
            node.size += child.size + 1
            node.height = max(node.height, child.height + 1)
            if is_merge:
                merged += self._merged(event, child)
                continue
            node.keys[key] = (event.start_mark.line + 1, event.start_mark.column + 1)
            if child.start == child.end:  # nothing is written there: the parser marks where the next thing stands
                child.line, child.column = node.keys[key]
            node.children[key] = child
            node.value[key] = child.value
        for other in merged:
            for inherited, child in other.children.items():
                if inherited not in node.children:
                    node.keys[str(inherited)] = other.keys[str(inherited)]
                    node.children[inherited] = child
                    node.value[inherited] = child.value

    def _key(self, event: NodeEvent, node: Node) -> tuple[str, bool]:
        self._grow(event, 1)
        if not isinstance(event, ScalarEvent):
            raise self._error(event, "yaml_key", "A key is a text here, no list, mapping or alias")
        key = str(event.value)
        if key in node.keys:
            line = node.keys[key][0]
            raise self._error(
                event,
                "yaml_duplicate_key",
                f"{key!r} stands in this mapping already, at line {line}: {_ONLY_ONE.get(key, 'only one can count')}",
            )
        return key, key == "<<" and event.style is None

    def _merged(self, event: NodeEvent, child: Node) -> list[Node]:
        """The mappings that `<<` names, those that count more first."""
        sources = list(child.children.values()) if isinstance(child.value, list) else [child]
        if not all(isinstance(each.value, dict) for each in sources):
            raise self._error(event, "yaml_merge", "`<<` merges a mapping, or a list of mappings")
        return sources

    def _alias(self, event: NodeEvent, depth: int) -> Node:
        if event.anchor in self._open:
            raise self._error(event, "yaml_alias", f"*{event.anchor} stands inside what it names, so it has no end")
        if event.anchor not in self._anchors:
            raise self._error(
                event, "yaml_alias", f"*{event.anchor} names nothing: no &{event.anchor} stands before it"
            )
        node = self._anchors[event.anchor]
        if depth + node.height - 1 > DEPTH_MAX:
            raise self._error(
                event, "yaml_too_deep", f"What *{event.anchor} repeats lies more than {DEPTH_MAX} levels deep here"
            )
        self._grow(event, node.size)
        return node

    def _grow(self, event: NodeEvent, by: int) -> None:
        self._count += by
        if self._count > NODES_MAX:
            raise self._error(
                event,
                "yaml_too_large",
                f"The file holds more than {NODES_MAX:,} values, those that aliases repeat included",
            )

    def _check_tag(self, event: NodeEvent, kind: str) -> str | None:
        written = getattr(event, "tag", None)
        tag = str(written) if written else None
        if tag is None or tag == "!":
            return tag
        short = tag.removeprefix(_CORE)
        if short == tag or short not in _TAGS[kind]:
            raise self._error(
                event, "yaml_tag", f"The tag {tag!r} is not read: a workflow is plain data, nothing is built from it"
            )
        return short

    def _scalar(self, event: ScalarEvent) -> Any:
        tag = self._check_tag(event, "scalar")
        text = str(event.value)
        if len(text) > TEXT_MAX:
            raise self._error(event, "yaml_too_large", _too_long(len(text)))
        if tag in {"str", "!"} or (tag is None and event.style is not None):
            return text
        value = _resolved(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._error(event, "yaml_number", f"{text} is no number that JSON can hold")
        if value is _TOO_LONG:
            raise self._error(event, "yaml_number", f"This number has {len(text)} digits; put a text into quotes")
        if tag is not None and type(value).__name__ != {"null": "NoneType"}.get(tag, tag):
            raise self._error(event, "yaml_tag", f"{text!r} is no {tag}")
        return value

    def _error(self, event: NodeEvent, code: str, message: str) -> SourceError:
        mark = event.start_mark
        return SourceError(code, message, Position(self._file, mark.line + 1, mark.column + 1))


_TOO_LONG = object()
_LONGEST_NUMBER = 300
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OTHER_BASE = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z|[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z"
)


def _resolved(text: str) -> Any:
    """What a plain scalar means by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if not text[0].isdigit() and text[0] not in "+-.":
        return text
    whole = _INT.match(text) or _OTHER_BASE.match(text)
    if whole or _FLOAT.match(text):
        if len(text) > _LONGEST_NUMBER:
            return _TOO_LONG
        return (
            int(text, 0 if _OTHER_BASE.match(text) else 10)
            if whole
            else float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        )
    return text
