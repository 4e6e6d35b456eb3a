"""The requests of HTTP steps: read when a workflow is compiled, filled in from the state, shown without secrets.

A value from the state is only ever a value: in a URL it is escaped and stands behind the host, in a header it is
one line. Secrets stay apart from the rest until the request is sent: they are parts of a text, not text, so nothing that a
state may hold can pass for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from remit.errors import DefinitionError
from remit.kernel.expressions.conditions import Condition, ConditionError, parse_at
from remit.kernel.expressions.filters import as_text
from remit.kernel.expressions.plain import Work
from remit.kernel.expressions.templates import template
from remit.workflows.format.model import HttpConfig
from remit.workflows.http.access import HttpAccess
from remit.workflows.http.addresses import Refused

__all__ = ["Hidden", "Request", "RequestTemplate", "Text", "told"]

_HIDDEN = frozenset({"secrets", "env"})
_AUTHORITY = re.compile(r"https?://[^/?#\\@\s]+", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}\Z")
_OWN_HEADERS = frozenset(
    [
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    ]
)
"""What the connection itself says: who sets these sends one request as two, or to another host than was judged."""
_ENCODED = re.compile(r"\s*[\w.]+(?:\s*\|\s*\w+)*\s*\|\s*urlencode\s*")
"""An expression whose value is encoded as a whole: a path, and filters of which the last one encodes."""
_DOTS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?=/|\Z)", re.IGNORECASE)


class Hidden(NamedTuple):
    """A place for a secret, or for a variable of the environment; `quoted`: it is escaped as part of a URL."""

    kind: str
    name: str
    quoted: bool = False


Part = str | Hidden
Piece = str | Condition | Hidden
Names = Mapping[str, Any]
Fill = Callable[[Names], Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A text with places for secrets."""

    parts: tuple[Part, ...]

    def shown(self) -> str:
        """As it may be recorded: `{{secrets.NAME}}` stands for itself."""
        return "".join(part if isinstance(part, str) else f"{{{{{part.kind}.{part.name}}}}}" for part in self.parts)

    def told(self, access: HttpAccess) -> str:
        """As it is sent; raises Refused where the operator no longer lists a name."""
        return "".join(part if isinstance(part, str) else _value(part, access) for part in self.parts)


def _value(part: Hidden, access: HttpAccess) -> str:
    value = access.value(part.kind, part.name)
    if value is None:
        raise Refused(f"{part.kind}.{part.name} is not listed by the operator")
    return quote(value, safe="") if part.quoted else value


def told(value: Any, access: HttpAccess) -> Any:
    """A structure as it is sent."""
    return _each_text(value, lambda text: text.told(access))


def _each_text(value: Any, of: Callable[[Text], str]) -> Any:
    if isinstance(value, Text):
        return of(value)
    if isinstance(value, dict):
        return {key: _each_text(item, of) for key, item in value.items()}
    return [_each_text(item, of) for item in value] if isinstance(value, list) else value


def _texts(value: Any) -> Iterator[Text]:
    if isinstance(value, Text):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready but for its secrets."""

    method: str
    url: Text
    headers: Mapping[str, Text]
    body: Any

    def shown(self) -> dict[str, Any]:
        """As it is recorded: the parameters of the step."""
        headers = {name: text.shown() for name, text in self.headers.items()}
        body = _each_text(self.body, Text.shown)
        return {"method": self.method, "url": self.url.shown(), "headers": headers, "body": body}

    def secrets(self, access: HttpAccess) -> Iterator[str]:
        """The values of the secrets in it."""
        for text in (self.url, *self.headers.values(), *_texts(self.body)):
            for part in text.parts:
                if isinstance(part, Hidden) and part.kind == "secrets":
                    yield _value(part._replace(quoted=False), access)


class RequestTemplate:
    """The `http_config` of a step."""

    def __init__(self, config: HttpConfig, roots: frozenset[str], access: HttpAccess, where: str) -> None:
        """`roots` are what its expressions may begin with. Raises DefinitionError, for names that are not listed too."""
        self._reader = reader = _Reader(roots, access, where)
        self._method = config.method
        self._url = _url_pieces(reader.pieces(config.url), where)
        self._headers = {_header_name(name, where): reader.pieces(text) for name, text in config.headers.items()}
        self._query = {name: reader.tree(value) for name, value in config.query_params.items()}
        self._body = reader.tree(config.body)

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """What its expressions read."""
        return tuple(self._reader.paths)

    def fill(self, names: Names) -> Request:
        """The request for these values; raises ConditionFailed, and Refused."""
        headers = {name: _header(name, pieces, names) for name, pieces in self._headers.items()}
        query = {name: fill(names) for name, fill in self._query.items()}
        return Request(self._method, _url(self._url, query, names), headers, self._body(names))


class _Reader:
    """Reads the texts of one step."""

    def __init__(self, roots: frozenset[str], access: HttpAccess, where: str) -> None:
        self._roots = roots
        self._access = access
        self._where = where
        self.paths: dict[tuple[str, ...], None] = {}

    def pieces(self, text: str) -> list[Piece]:
        """Literal texts, expressions and places for secrets, in their order."""
        self._checked(text)
        pieces: list[Piece] = []
        here = 0
        while (opening := text.find("{{", here)) >= 0:
            pieces.append(text[here:opening])
            condition, here = parse_at(text, opening + 2, self._roots | _HIDDEN)
            pieces.append(self._hidden(condition) or condition)
        return [piece for piece in [*pieces, text[here:]] if piece != ""]

    def _checked(self, value: Any) -> Any:
        try:
            return template(value, self._roots | _HIDDEN)
        except ConditionError as error:
            raise DefinitionError(f"{self._where}: {error}") from error

    def _hidden(self, condition: Condition) -> Hidden | None:
        self.paths.update(dict.fromkeys(condition.paths))
        kinds = _HIDDEN.intersection(path[0] for path in condition.paths)
        if not kinds:
            return None
        if condition.path is None or len(condition.path) != 2:
            kind = min(kinds)
            raise DefinitionError(
                f"{self._where}: {condition.text!r}: write {{{{{kind}.NAME}}}} by itself, without filters or operators"
            )
        kind, name = condition.path
        self._access.require(kind, name, self._where)
        return Hidden(kind, name)

    def tree(self, value: Any) -> Fill:
        """How to fill in a structure; a text that is one expression gives its typed value."""
        if isinstance(value, dict):
            self._checked(dict.fromkeys(value))
            items = [(key, self.tree(item)) for key, item in value.items()]
            return lambda names: {key: fill(names) for key, fill in items}
        if isinstance(value, list):
            fills = [self.tree(item) for item in value]
            return lambda names: [fill(names) for fill in fills]
        pieces = self.pieces(value) if isinstance(value, str) else []
        if any(isinstance(piece, Hidden) for piece in pieces):
            return lambda names: Text(tuple(_part(piece, names) for piece in pieces))
        return self._checked(value).render  # type: ignore[no-any-return]


def _part(piece: Piece, names: Names) -> Part:
    """A piece as text."""
    if not isinstance(piece, Condition):
        return piece
    work = Work()
    return as_text(piece.evaluate(names, work), work)


# -- URLs -------------------------------------------------------------------------------------------------------------


def _url_pieces(pieces: list[Piece], where: str) -> list[Piece]:
    """The URL's pieces where its scheme and host are fixed by the file or by the operator; raises DefinitionError."""
    first, rest = (pieces[0], pieces[1:]) if pieces else ("", [])
    if isinstance(first, str):
        found = _AUTHORITY.match(first)
        after = first[found.end() :] if found is not None else ""
        fixed = found is not None and (after[:1] in {"/", "?"} or not (after or rest))
    else:
        fixed = isinstance(first, Hidden) and first.kind == "env"
        fixed = fixed and (not rest or (isinstance(rest[0], str) and rest[0][0] in "/?"))
    if not fixed:
        raise DefinitionError(
            f"{where}: `url` begins with a scheme and a host that no expression changes, then '/': write"
            " https://erp.example/orders/{{ state.id }}, or {{ env.ERP_URL }}/orders with ERP_URL listed by the operator"
        )
    if any(isinstance(piece, str) and ("#" in piece or not piece.isprintable()) for piece in pieces):
        raise DefinitionError(f"{where}: `url` holds no '#' and no line breaks: neither is sent to a server")
    return pieces


def _url(pieces: Sequence[Piece], query: Mapping[str, Any], names: Names) -> Text:
    parts: list[Part] = []
    in_path = True
    for index, piece in enumerate(pieces):
        if isinstance(piece, str):
            in_path = in_path and "?" not in piece
            parts.append(piece)
        elif isinstance(piece, Hidden):
            parts.append(piece._replace(quoted=index > 0))
        else:
            text = str(_part(piece, names))
            if in_path and not text:
                raise Refused(f"{piece.text!r} is empty, and the URL would name something else")
            parts.append(text if _ENCODED.fullmatch(piece.text) else quote(text, safe=""))
    joint = "&" if not in_path else "?"
    for name, value in query.items():
        for part in _values(name, value):
            parts += [f"{joint}{quote(name, safe='')}=", *part]
            joint = "&"
    url = Text(tuple(parts))
    if _DOTS.search(url.shown().partition("?")[0].partition("://")[2]):
        raise Refused("a part of the URL's path is '.' or '..'")
    return url


def _values(name: str, value: Any) -> Iterator[tuple[Part, ...]]:
    """The texts of one parameter of a query: none for None, several for a list."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _values(name, item)
    elif isinstance(value, Text):
        parts = (part if isinstance(part, str) else part._replace(quoted=True) for part in value.parts)
        yield tuple(quote(part, safe="") if isinstance(part, str) else part for part in parts)
    elif isinstance(value, Mapping):
        raise Refused(f"parameter {name!r} is a mapping: give a text, a number or a list of them")
    elif value is not None:
        yield (quote(as_text(value, Work()), safe=""),)


# -- headers ----------------------------------------------------------------------------------------------------------


def _header_name(name: str, where: str) -> str:
    if not _HEADER_NAME.match(name):
        raise DefinitionError(f"{where}: {name!r:.200} is no name of a header")
    if name.lower() in _OWN_HEADERS:
        raise DefinitionError(f"{where}: the header {name!r} is set by the connection itself: leave it out")
    return name


def _header(name: str, pieces: Sequence[Piece], names: Names) -> Text:
    text = Text(tuple(_part(piece, names) for piece in pieces))
    if any(isinstance(part, str) and not part.isprintable() for part in text.parts):
        raise Refused(f"the header {name!r} would hold a line break or another control character")
    return text
