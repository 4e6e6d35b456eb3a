"""Acts of operators that are refused are in the audit log, as those that are done (L49)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from remit.engine.engine import Engine
from remit.engine.values.texts import SHORT_MAX
from remit.errors import RemitError, StoreError
from remit.kernel.trace import is_execution_id, root_of

__all__ = ["on_record", "shown"]

P = ParamSpec("P")
T = TypeVar("T")


class _Acting(Protocol):
    @property
    def _engine(self) -> Engine | None: ...


A = TypeVar("A", bound=_Acting)
_Act = Callable[Concatenate[A, P], Coroutine[Any, Any, T]]


def on_record(act: _Act[A, P, T]) -> _Act[A, P, T]:
    """Make a refusal of the act an audit entry: in the chain of the execution that its first argument names, if it is one."""

    @wraps(act)
    async def acted(self: A, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await act(self, *args, **kwargs)
        except StoreError:
            raise
        except RemitError as error:
            if self._engine is not None:
                _note(self._engine, act.__name__, signature(act).bind(self, *args, **kwargs).arguments, error.code)
            raise

    return acted


def _note(engine: Engine, act: str, asked: Mapping[str, Any], code: str) -> None:
    _, what, *_ = *asked.values(), None
    by = shown(asked["by"]) if isinstance(asked.get("by"), str) else None
    details = {"act": act, "what": _named(what), "code": code}
    if is_execution_id(what) and engine.current_root(root_of(what)) is not None:
        engine.audit.entry(what, "refused", details, by)
    else:
        engine.audit.control(None, "refused", by, details)


def _named(what: Any) -> Any:
    """What the act was about, without what it was to do with it."""
    if isinstance(what, list):
        return [f"{each.get('process')}@{each.get('version')}" for each in what if isinstance(each, dict)]
    return sorted(map(shown, what)) if isinstance(what, Mapping) else None if what is None else shown(what)


def shown(value: object) -> str:
    """A text that may be anything, as an entry can hold it."""
    return str(value).encode("utf-8", "replace").decode()[:SHORT_MAX]
