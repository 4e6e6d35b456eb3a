"""Finding code by name in another process, so that functions need not be pickled."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

__all__ = ["Place", "end_with", "find", "importing_main", "locate", "output", "prepare", "surroundings"]

_MAIN = "__main__"
_MAIN_THERE = "__remit_main__"
_MAIN_OF_WORKERS = "__mp_main__"
_PR_SET_PDEATHSIG = 1


class Place(NamedTuple):
    """Where a decorated function is found: a module and the name in it."""

    module: str
    name: str


def locate(function: Callable[..., Any], definition: object) -> Place | None:
    """The place of a definition's decorated function; None where another process could not import it (a closure, a lambda)."""
    place = Place(function.__module__, function.__qualname__)
    module = sys.modules.get(place.module)
    found: Any = module
    for part in place.name.split("."):
        found = getattr(found, part, None)
    return place if getattr(found, "definition", None) is definition else None


def surroundings() -> dict[str, Any]:
    """What another process needs to import the same code: the path, and the main script."""
    main = sys.modules[_MAIN]
    spec = getattr(main, "__spec__", None)
    return {
        "path": list(sys.path),
        "main_module": spec.name if spec else None,
        "main_file": getattr(main, "__file__", None),
    }


def prepare(there: dict[str, Any], place: Place) -> None:
    """Make this process import as the other one does.

    The main script is run only where the code is in it, and under another name, so that its guard holds.
    """
    sys.path[:] = there["path"]
    if place.module != _MAIN or _MAIN_THERE in sys.modules:
        return
    found = importlib.util.find_spec(there["main_module"]) if there["main_module"] is not None else None
    file = found.origin if found is not None else there["main_file"]
    spec = importlib.util.spec_from_file_location(_MAIN_THERE, Path(file)) if file is not None else None
    if spec is not None and spec.loader is not None:
        module = sys.modules[_MAIN_THERE] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def importing_main() -> bool:
    """Whether this is a helper process that imports the main script: what that starts would start helpers without end."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") in (_MAIN_THERE, _MAIN_OF_WORKERS):
            return True
        frame = frame.f_back
    return False


def output() -> int | None:
    """The descriptor of this program's output, to which code elsewhere writes too; None where it has none of its own.

    It need not be 1: whoever prints a document there leads what workflow code prints elsewhere.
    """
    try:
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return None


def end_with(engine: int) -> None:
    """Let this process end when the one with that pid does, whatever code runs here; does more on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != engine:
            os._exit(0)


def find(place: Place) -> Any:
    """The decorated function at a place: a Process or a Step."""
    module: Any = sys.modules.get(_MAIN_THERE) if place.module == _MAIN else None
    found = module if module is not None else importlib.import_module(place.module)
    for part in place.name.split("."):
        found = getattr(found, part)
    return found
