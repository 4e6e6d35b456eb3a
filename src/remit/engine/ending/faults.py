"""Errors as records: encoded for the store, rebuilt as exceptions that a body may catch, the same live and in replay."""

from __future__ import annotations

import builtins
import logging
from functools import lru_cache
from pathlib import Path
from traceback import walk_tb
from typing import Any

import orjson

from remit.engine.values.redaction import redact
from remit.engine.values.seam import trimmed
from remit.errors import (
    DomainError,
    ErrorClass,
    ErrorInfo,
    RemitError,
    StepFailed,
    SystemFailure,
    TransientError,
)
from remit.kernel.retry import Classifier, classify
from remit.package import PACKAGE

__all__ = ["MAX_ERROR_BYTES", "decode_error", "encode_error", "exception_of", "info_of"]

MAX_ERROR_BYTES = 65_536
_BUILTIN = "builtin"
# Where the standard library and the installed packages are, and code that a library has made of a text.
_LIBRARIES = (*(str(Path(str(each.__file__)).parents[1]) for each in (logging, orjson)), "<string>")
_log = logging.getLogger("remit.engine")


def info_of(error: BaseException, origin: str, attempt: int, classifier: Classifier | None = None) -> ErrorInfo:
    """The record of an exception, classified (L17), secrets redacted."""
    error_class = _class_of(error, classifier)
    if isinstance(error, RemitError):
        info = error.info(origin, attempt)
        return ErrorInfo(
            error_class, str(info.code), str(redact(str(info.message))), _plain(info.details), origin, attempt
        )
    name = type(error).__name__
    code = {ErrorClass.TRANSIENT: "transient_error", ErrorClass.SYSTEM: "system_failure"}.get(
        error_class, "domain_error"
    )
    details: dict[str, Any] = {"exception": name}
    if getattr(builtins, name, None) is type(error):
        details[_BUILTIN] = name
    at = _place(error)
    if at is not None:
        details["at"] = at
    return ErrorInfo(error_class, code, str(redact(_text(error) or name)), details, origin, attempt)


def _place(error: BaseException) -> str | None:
    """The innermost line of the author's code, else of anybody's but Remit's, that the exception went through."""
    went = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)]
    went = [each for each in went if not each[0].co_filename.startswith(PACKAGE)]
    own = [each for each in went if not each[0].co_filename.startswith(_LIBRARIES)] or went
    if not own:
        return None
    code, line = own[-1]
    return _utf8(f"{Path(code.co_filename).name}:{line} in {code.co_name}")


def _class_of(error: BaseException, classifier: Classifier | None) -> ErrorClass:
    """As the process's classifier says, unless that fails itself."""
    try:
        return ErrorClass(classify(error, classifier))
    except Exception:
        _log.exception("the classifier failed on %s; the error is classified without it", type(error).__name__)
        return classify(error)


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)  # its text is only the key
    except Exception:
        _log.exception("a %s has no text", type(error).__name__)
        return f"{type(error).__name__}, whose text cannot be shown"


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    """Details as JSON holds them, secrets redacted; what JSON cannot hold is named instead."""
    plain = {_utf8(str(key)): _jsonable(value) for key, value in details.items()}
    redacted = redact(plain)
    assert isinstance(redacted, dict)
    return redacted


def _jsonable(value: object) -> Any:
    try:
        return orjson.loads(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS))
    except (TypeError, ValueError, RecursionError) as error:
        return f"a {type(value).__name__} that cannot be recorded as JSON ({_utf8(str(error).splitlines()[0])})"


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def encode_error(info: ErrorInfo) -> bytes:
    """The record as JSON of at most 64 KiB; a longer message is cut, larger details are left out (L48)."""
    payload = _dump(info, info.message, info.details)
    if len(payload) > MAX_ERROR_BYTES:
        payload = _dump(
            info,
            info.message[:4_000] + "… (cut)",
            {"cut": f"details and message were {len(payload)} bytes; the limit is {MAX_ERROR_BYTES}"},
        )
    return payload


def _dump(info: ErrorInfo, message: str, details: dict[str, Any]) -> bytes:
    fields = {
        "class": info.error_class,
        "code": _utf8(info.code),
        "message": _utf8(message),
        "details": details,
        "origin": info.origin,
        "attempt": info.attempt,
    }
    return trimmed(orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS))


def decode_error(payload: bytes) -> ErrorInfo:
    """The record that was encoded."""
    fields = orjson.loads(payload)
    return ErrorInfo(
        ErrorClass(fields["class"]),
        fields["code"],
        fields["message"],
        fields["details"],
        fields["origin"],
        fields["attempt"],
    )


def exception_of(info: ErrorInfo) -> RemitError:
    """The exception a body gets for a recorded failure; one that was a builtin exception can be caught as that too."""
    if info.error_class is ErrorClass.TRANSIENT:
        return TransientError(info.message, code=info.code, details=info.details)
    if info.error_class is ErrorClass.SYSTEM:
        return SystemFailure(info.message, code=info.code, details=info.details)
    if _BUILTIN in info.details:
        return _also(info.details[_BUILTIN])(info.message, code=info.code, details=info.details)
    return DomainError(info.message, code=info.code, details=info.details)


@lru_cache(maxsize=256)
def _also(name: str) -> type[StepFailed]:
    """A StepFailed that is a builtin exception too, where Python's object layouts allow one."""
    builtin = getattr(builtins, name)
    # A task that raises what is no Exception ends the loop; a group cannot be made of a message alone.
    if not issubclass(builtin, Exception) or issubclass(builtin, BaseExceptionGroup):
        return StepFailed
    try:
        return type(f"StepFailed[{name}]", (StepFailed, builtin), {})
    except TypeError:
        return StepFailed
