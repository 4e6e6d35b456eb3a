"""Reading the annotations of functions that become processes and steps."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, get_type_hints

from remit.errors import DefinitionError

__all__ = ["hints_of", "place_of"]


def place_of(function: Callable[..., Any]) -> str:
    """Where a function is written: 'orders.py:42'."""
    code = getattr(function, "__code__", None)
    return f"{code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno}" if code is not None else repr(function)


def hints_of(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """The evaluated annotations; types that are local to the defining function are found as well.

    Raises DefinitionError for an annotation that names nothing.
    """
    with suppress(NameError):
        return get_type_hints(function, include_extras=True)
    frame = inspect.currentframe()
    visible: dict[str, Any] = {}
    while frame is not None:
        visible = {**frame.f_locals, **visible}
        frame = frame.f_back
    try:
        return get_type_hints(function, localns=visible, include_extras=True)
    except NameError as error:
        raise DefinitionError(f"{where}: an annotation names nothing: {error}") from None
