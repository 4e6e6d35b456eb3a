"""The typed border between caller and callee: a value arrives as it left, or is refused (L13, L48).

What is written is read back at once and compared with the original, value and type: so a type that cannot be
judged when it is defined (`Any`, unions, custom validators) is judged on each value.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, Secret, SecretBytes, SecretStr, ValidationError
from pydantic_core import to_jsonable_python

from remit.engine.values.changes import Change, change_between, field_names
from remit.engine.values.redaction import redact
from remit.engine.values.seam_types import Coder, coder_of
from remit.engine.values.straight import straight_for
from remit.errors import InvalidInput, LimitExceeded, RemitError

__all__ = ["MAX_VALUE_BYTES", "Seam", "SeamError", "canonical", "digest", "refuse_nonfinite", "trimmed"]

MAX_VALUE_BYTES = 1_048_576

_SORTED = orjson.OPT_SORT_KEYS
_SORTED_PLAIN = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
_DEPTH_MAX = 200
_SHOWN_BITS = 1_024
_TOO_DEEP = f"the value refers to itself or is nested more than {_DEPTH_MAX} levels deep"
_FLATTEN = "flatten the value"
_USE_TYPED = "give the part a type of its own instead of Any, or pass plain data (dict, list, str, numbers, None)"
_USE_PLAIN = "pass plain data; put connections and clients into Remit(resources=...)"
_USE_REFERENCE = "pass a reference to the secret and read it in the step"
_USE_NONE = "pass None, or leave the value out"

T = TypeVar("T")
Path = tuple[object, ...]
_Leaf = Callable[[object, Path, str], object]


class SeamError(InvalidInput, ValueError):
    """A value does not fit the seam; `path` is a JSON pointer to the part at fault, `fix` how to mend it."""

    def __init__(self, message: str, *, path: str = "", expected: str = "", got: str = "", fix: str = "") -> None:
        super().__init__(message, path=path, expected=expected, got=got, fix=fix)
        self.path = path
        self.expected = expected
        self.got = got
        self.fix = fix


class Seam(Generic[T]):
    """One border of one type: built when a process is defined, used for each value that crosses."""

    def __init__(self, annotation: Any, *, where: str) -> None:
        """`where` names the place, for errors: "process 'order', parameter 'request'"."""
        self.annotation = Any if annotation is inspect.Parameter.empty else annotation
        self.where = where
        coder: Coder[T] = coder_of(self.annotation, where)
        self._plain, self._read, self._validate, self._describe, schema = coder
        self._straight = straight_for(schema)
        self._schema: dict[str, Any] | None = None

    def encode(self, value: object) -> bytes:
        """The value as canonical JSON; `SeamError` if it would arrive otherwise, `LimitExceeded` if large."""
        payload = self._straight(value) if self._straight is not None else None
        return self.cross(value)[0] if payload is None else payload

    def decode(self, payload: bytes) -> T:
        """The value of a payload, validated."""
        _refuse_size(payload, self.where)
        try:
            return self._read(payload, by_alias=True)
        except ValidationError as error:
            raise self._invalid(error, payload) from error
        except RecursionError as error:
            raise _error(self.where, (), _TOO_DEEP, fix=_FLATTEN) from error
        except Exception as error:  # of a validator of the author's
            raise self._broken_off(error) from error

    def cross(self, value: object) -> tuple[bytes, T]:
        """The payload, and what the other side sees: equal to `value` in all its parts, sharing none."""
        try:
            payload = _dumps(self._plain(value, mode="json", by_alias=True, round_trip=True, warnings=False))
        except (ValueError, TypeError, RecursionError) as error:
            raise self._unwritable(value, error) from error
        if len(payload) > MAX_VALUE_BYTES:
            raise _too_large(len(payload), self.where)
        try:
            arrived = self._read(payload, by_alias=True)
            change = change_between(value, arrived)
        except ValidationError as error:
            refuse_nonfinite(value, self.where)
            raise self._invalid(error, payload) from error
        except RecursionError as error:
            raise _error(self.where, (), _TOO_DEEP, fix=_FLATTEN) from error
        if change is not None:
            refuse_nonfinite(value, self.where)
            raise self._changed(change)
        return payload, arrived

    def accept(self, value: object) -> bytes:
        """Like `encode`, for a caller's value: a dict or model of the same shape stands for the type's own."""
        payload = self._straight(value) if self._straight is not None else None
        if payload is not None:
            return payload
        try:
            taken = self._validate(value, by_alias=True)
            return self.cross(taken)[0] if taken is value else self.encode(taken)  # the straight way was not open to it
        except ValidationError as error:
            refusal = error
        except RecursionError as error:
            raise _error(self.where, (), _TOO_DEEP, fix=_FLATTEN) from error
        except RemitError:
            raise
        except Exception as error:  # of a validator of the author's
            raise self._broken_off(error) from error
        try:
            fitting = self._validate(_shaped(value, self.where, _unchanged), by_alias=True)
        except ValidationError:
            refuse_nonfinite(value, self.where)
            raise self._invalid(refusal, value) from refusal
        return self.encode(fitting)

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what may be passed in."""
        if self._schema is None:
            self._schema = self._describe()
        return self._schema

    def written_schema(self) -> dict[str, Any]:
        """The JSON Schema of what comes out: every field is there, those with a default too (L41)."""
        return self._describe("serialization")

    def _unwritable(self, value: object, error: Exception) -> SeamError:
        """Find out which part cannot be written: as the type sees it first, then as JSON sees it."""
        try:
            self._validate(value, strict=True, by_alias=True)
            _shaped(value, self.where, _json_leaf)
        except ValidationError as refusal:
            return self._invalid(refusal, value)
        except SeamError as found:
            return found
        except RecursionError:
            return _error(self.where, (), _TOO_DEEP, fix=_FLATTEN)
        problem = f"the value cannot be written as JSON ({_first_line(error)})"
        return _error(self.where, (), problem, got=_shown(value), fix=_USE_PLAIN)

    def _invalid(self, error: ValidationError, source: object) -> SeamError:
        """The first finding of a validation, at a path that the value really has."""
        found = error.errors(include_url=False, include_context=False)
        first = found[0]
        if first["type"] == "json_invalid" and "recursion" in first["msg"]:
            return _error(self.where, (), _TOO_DEEP, fix=_FLATTEN)
        path = _followed(first["loc"], source, missing=first["type"] == "missing")
        key = path[-1] if path else ""
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        fix = "await it" if inspect.isawaitable(first["input"]) else "mend the value there"
        got = "nothing" if first["type"] == "missing" else _shown(first["input"], key)
        told = first["msg"].removeprefix("Value error, ")  # a validator's own words are enough
        return _error(self.where, path, told + more, expected=told, got=got, fix=fix)

    def _broken_off(self, error: Exception) -> SeamError:
        """A validator has raised something else than what says that a value does not fit; who is about to read it needs an answer."""
        problem = f"validating it raised {type(error).__name__}: {_first_line(error)}"
        return _error(self.where, (), problem, fix="mend the validator, or raise ValueError in it for a value that does not fit")

    def _changed(self, change: Change) -> SeamError:
        path = change.path[::-1]
        got, became = _shown(change.sent, path[-1] if path else ""), type(change.arrived).__name__
        problem = f"the value would not arrive as it is: {type(change.sent).__name__} would become {became}"
        if type(change.sent) is type(change.arrived):
            problem = f"the {became} would arrive with another content"
        return _error(self.where, path, problem, expected=became, got=got, fix=_USE_TYPED)


def canonical(value: object, where: str) -> bytes:
    """A step's arguments as canonical JSON, for its identity (L9); `SeamError` for what JSON cannot hold."""
    try:
        payload = trimmed(orjson.dumps(value, _members, _SORTED_PLAIN))
    except (
        TypeError,
        ValueError,
    ):  # keys that are no text, big integers, and what must be refused with its path
        payload = _dumps_or_refuse(_shaped(value, where, _json_leaf), where)
    if b"null" in payload:
        refuse_nonfinite(value, where)
    _refuse_size(payload, where)
    return payload


def digest(payload: bytes) -> bytes:
    """16 bytes of the payload's BLAKE2b: as quick as SHA-256 in a loop, and quicker where caches are cold, as in a call."""
    return hashlib.blake2b(payload, digest_size=16).digest()


def _unchanged(value: object, *_place: object) -> object:
    return value


def _json_leaf(value: object, path: Path, where: str) -> object:
    """A value without parts, as JSON holds it."""
    if isinstance(value, (SecretStr, SecretBytes, Secret)):
        raise _error(where, path, "a secret would be recorded as asterisks", fix=_USE_REFERENCE)
    if hasattr(value, "__next__"):  # reading an iterator would use it up
        raise _unrecordable(value, path, where)
    try:
        plain = to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="constants")
    except (ValueError, TypeError) as error:
        raise _unrecordable(value, path, where) from error
    if isinstance(plain, (str, int, float)):
        return plain
    raise _unrecordable(value, path, where)


def _unrecordable(value: object, path: Path, where: str) -> SeamError:
    name = type(value).__name__
    return _error(where, path, f"a value of type {name} cannot be recorded as JSON", got=name, fix=_USE_PLAIN)


class _Shape:
    """Turns a value into dicts and lists, refusing NaN and endless nesting; `leaf` turns the rest."""

    def __init__(self, where: str, leaf: _Leaf) -> None:
        self.where = where
        self.leaf = leaf

    def of(self, value: Any, path: Path) -> Any:
        if value is None or isinstance(value, (str, bool, int)):
            return value.value if isinstance(value, Enum) else value
        if isinstance(value, float):
            return self._number(value, path)
        if len(path) > _DEPTH_MAX:
            raise _error(self.where, (), _TOO_DEEP, fix=_FLATTEN)
        if isinstance(value, Enum):
            return self.of(value.value, path)
        if isinstance(value, (list, tuple, deque)):
            return [self.of(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, (set, frozenset)):
            return sorted((self.of(member, path) for member in value), key=_dumps)
        parts = _parts(value)
        if parts is None:
            return self.leaf(value, path, self.where)
        return {self._key(key, path): self.of(item, (*path, key)) for key, item in parts.items()}

    def _number(self, value: float, path: Path) -> float:
        if math.isfinite(value):
            return value
        problem = f"{value} cannot be recorded as JSON"
        raise _error(self.where, path, problem, expected="a finite number", got=str(value), fix=_USE_NONE)

    def _key(self, key: Any, path: Path) -> Any:
        if isinstance(key, str) or self.leaf is _unchanged:
            return key
        plain = key if key is None else _json_leaf(key, (*path, key), self.where)
        return plain if isinstance(plain, str) else json.dumps(plain)


def _parts(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, BaseModel):
        held = value.__dict__
        known = {written: held.get(name) for written, name in _written_names(type(value))}
        return {**known, **value.__pydantic_extra__} if value.__pydantic_extra__ else known
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: getattr(value, name, None) for name in field_names(type(value))}
    return None


@lru_cache(maxsize=4096)
def _written_names(kind: type[BaseModel]) -> tuple[tuple[str, str], ...]:
    return tuple((field.serialization_alias or name, name) for name, field in kind.model_fields.items())


def _members(value: object) -> Any:
    """One level of what orjson does not know itself; a refusal here leads to the slower way, with a path."""
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda member: orjson.dumps(member, _members, _SORTED_PLAIN))
    parts = _parts(value)
    if parts is not None:
        return parts if type(parts) is dict else dict(parts)
    return list(value) if isinstance(value, (tuple, deque)) else _json_leaf(value, (), "")


def refuse_nonfinite(value: object, where: str) -> None:
    """NaN and Infinity would silently become null."""
    _shaped(value, where, _unchanged)


def _shaped(value: object, where: str, leaf: _Leaf) -> Any:
    try:
        return _Shape(where, leaf).of(value, ())
    except RecursionError as error:
        raise _error(where, (), _TOO_DEEP, fix=_FLATTEN) from error


def trimmed(payload: bytes) -> bytes:
    """The same bytes in as much memory as they need: orjson's hold at least a kilobyte or four, and payloads are kept."""
    return bytes(memoryview(payload))


def _dumps(plain: Any) -> bytes:
    try:
        return trimmed(orjson.dumps(plain, None, _SORTED))
    except TypeError:
        if not _has_big_integer(plain):
            raise
    # orjson stops at 64 bits, JSON and Python's integers do not
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _has_big_integer(plain: Any, depth: int = 0) -> bool:
    if isinstance(plain, int):
        return plain.bit_length() > 63
    parts = plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ()
    return depth <= _DEPTH_MAX and any(_has_big_integer(part, depth + 1) for part in parts)


def _dumps_or_refuse(plain: Any, where: str) -> bytes:
    try:
        return _dumps(plain)
    except (ValueError, TypeError) as error:
        problem = f"the value cannot be written as JSON ({_first_line(error)})"
        raise _error(where, (), problem, fix=_USE_PLAIN) from error


def _refuse_size(payload: bytes, where: str) -> None:
    if len(payload) > MAX_VALUE_BYTES:
        raise _too_large(len(payload), where)


def _too_large(size_bytes: int, where: str) -> LimitExceeded:
    fix = "store the data elsewhere and pass a reference to it"
    message = f"{where}: the value takes {size_bytes:,} bytes as JSON, of at most {MAX_VALUE_BYTES:,}. Fix: {fix}."
    return LimitExceeded(message, size_bytes=size_bytes, limit_bytes=MAX_VALUE_BYTES, fix=fix)


def _error(
    where: str, path: Path | list[object], problem: str, *, expected: str = "", got: str = "", fix: str = ""
) -> SeamError:
    pointer = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
    at = f" at {pointer}" if pointer else ""
    seen = f" (got {got})" if got else ""
    return SeamError(f"{where}{at}: {problem}{seen}. Fix: {fix}.", path=pointer, expected=expected, got=got, fix=fix)


def _followed(loc: tuple[int | str, ...], source: object, *, missing: bool) -> Path:
    """The steps of a pydantic location that lead somewhere in the value; others name members of unions."""
    at: Any = _loaded(source) if isinstance(source, bytes) else source
    path: list[object] = []
    for index, part in enumerate(loc):
        parts = _parts(at)
        inside = parts if parts is not None else dict(enumerate(at)) if isinstance(at, (list, tuple)) else {}
        if part in inside:
            path.append(part)
            at = inside[part]
        elif missing and index == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _loaded(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):  # not JSON at all: there is no path in it
        return None


def _shown(value: object, key: object = "") -> str:
    """A value as an error may show it: short, and without secrets. Of huge integers Python refuses to write the digits."""
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return f"{type(value).__name__} of {value.bit_length():,} bits"
    if value is None or isinstance(value, (str, int, float)):
        shown = redact({str(key): value[:200] if isinstance(value, str) else value})
        text = repr(shown[str(key)]) if isinstance(shown, dict) and str(key) in shown else "[redacted]"
        return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
    return type(value).__name__


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
