"""The functions and classes that workflows name: found by their import paths, imported once, and the workflow's own."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from remit.authoring.process import Process
from remit.package import PACKAGE
from remit.workflows.importing.import_paths import ImportPathError, Located, Rules, locate, names_in
from remit.workflows.importing.modules import home_of

__all__ = ["Functions", "ImportPathError", "Located", "locate", "resolve"]


class Functions:
    """The functions and classes that the import paths of one directory's workflows name."""

    def __init__(self, directory: Path | str, allow: Iterable[str] = ()) -> None:
        self.directory = Path(directory).resolve()
        self.allow = tuple(allow)

    def __call__(self, path: str) -> Any:
        """What a path names; raises ImportPathError."""
        return resolve(path, self.directory, self.allow)


def resolve(path: str, directory: Path | str, allow: Iterable[str] = ()) -> Any:
    """The function or class itself: its module is imported, once in a process, when it is needed first.

    Raises ImportPathError for what `locate` refuses, for a module that cannot be imported, and for a name that holds
    neither a function nor a class of the workflow's own.
    """
    rules = Rules(Path(directory).resolve(), tuple(allow))
    located = locate(path, rules.directory, rules.allow)
    found: Any = _module_at(located, rules)
    for name in located.attributes:
        if not hasattr(found, name):
            raise ImportPathError(path, f"names {name!r}, which {located.file.name} no longer has once it is imported")
        found = getattr(found, name)
    problem = _unusable(found, located, rules)
    if problem is not None:
        raise ImportPathError(path, problem)
    return found


def _module_at(located: Located, rules: Rules) -> ModuleType:
    try:
        if located.file.is_relative_to(rules.directory):
            inside = located.file.relative_to(rules.directory)
            last = () if inside.name == "__init__.py" else (inside.stem,)
            return home_of(rules.directory).module((*inside.parts[:-1], *last))
        return importlib.import_module(".".join(names_in(located.path)[: -len(located.attributes)]))
    except (Exception, SystemExit) as error:
        ours = (PACKAGE, str(Path(importlib.__file__).parent), "<")
        frames = [each for each in extract_tb(error.__traceback__) if not each.filename.startswith(ours)]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else located.file.name
        raise ImportPathError(
            located.path, f"cannot be imported: {place} raised {type(error).__name__}: {error}"
        ) from error


def _unusable(found: Any, located: Located, rules: Rules) -> str | None:
    """What keeps a workflow from using a value; a definition that is written where the path leads may be decorated."""
    if isinstance(found, Process):
        return "is a process: call it with a SUB_WORKFLOW step"
    if located.node is not None:
        return None if callable(found) else f"is a {type(found).__name__}, neither function nor class"
    inner = inspect.unwrap(found)
    if inspect.isfunction(inner):
        file: str | None = inner.__code__.co_filename
    elif isinstance(inner, type):
        file = getattr(sys.modules.get(inner.__module__), "__file__", None)
    else:
        return f"holds a {type(found).__name__}: name a function or a class, written with def or class"
    if file is not None and any(Path(file).resolve().is_relative_to(each) for each in rules.places()):
        return None
    return f"holds {inner.__module__}.{inner.__qualname__}, which is written outside the workflow's own directory"
