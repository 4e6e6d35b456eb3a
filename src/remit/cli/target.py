"""TARGET: `module:process`, `file.py:process` or `workflow.yaml`, and all that comes with it."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from remit.authoring.process import Process
from remit.control.hosting import Hosted
from remit.errors import DefinitionError, RemitError
from remit.package import PACKAGE

__all__ = ["Target", "load_target"]

_SPELT = "TARGET is module:process, file.py:process or workflow.yaml"
_ENDINGS = (".yaml", ".yml")


class Target:
    """The process to run, or the name and version of a workflow, and everything that is hosted with it."""

    def __init__(self, process: Process[Any, Any] | str, hosted: Sequence[Hosted], allow: Sequence[str]) -> None:
        self.process = process
        self.hosted = hosted
        self.allow = allow


def load_target(text: str, others: list[str], allow: list[str]) -> Target:
    """Import a target and the modules named beside it; raises DefinitionError that says how to spell or mend it.

    Hosted is what these modules hold, and what the modules hold that define those processes, and so on: whatever a
    process imports in order to call it comes along. With a workflow come those of its directory; `allow` lists packages
    that workflows may import from beside their own directories.
    """
    where, colon, name = text.rpartition(":")
    if not colon:
        where, name = text, ""
    files = [Path(each) for each in others if _is_workflow(each)]
    modules = [_load(each) for each in others if not _is_workflow(each)]
    if _is_workflow(where):
        from remit.cli.workflow_target import load_workflow_target

        _look_in(str(Path.cwd()))
        found = load_workflow_target(Path(where), name, allow)
        return Target(found.reference, [*found.paths, *files, *_with_company(modules)], allow)
    module = _load(where)
    found_here = _inside(module)
    if not found_here:
        raise DefinitionError(f"{where} holds no process: define one with @process. {_SPELT}.")
    chosen = [each for key, each in found_here.items() if name in (key, each.name)]
    if not chosen:
        there = f"{', '.join(found_here)}: write {where}:{next(iter(found_here))}"
        raise DefinitionError(
            f"{where} has no process {name!r}; there are {there}"
            if name
            else f"{text!r} names no process. {_SPELT}; there are {there}"
        )
    return Target(chosen[0], [*_with_company([module, *modules]), *files], allow)


def _is_workflow(where: str) -> bool:
    return where.endswith(_ENDINGS) or Path(where).is_dir()


def _inside(module: ModuleType) -> dict[str, Process[Any, Any]]:
    return {key: value for key, value in vars(module).items() if isinstance(value, Process)}


def _with_company(modules: list[ModuleType]) -> list[Process[Any, Any]]:
    hosted: dict[int, Process[Any, Any]] = {}
    left, seen = list(modules), set[str]()
    while left:
        module = left.pop()
        if module.__name__ in seen:
            continue
        seen.add(module.__name__)
        for process in _inside(module).values():
            hosted[id(process)] = process
            home = sys.modules.get(process.definition.body.__module__)
            if home is not None:
                left.append(home)
    return list(hosted.values())


def _load(where: str) -> ModuleType:
    """Import a module by name from here, or a file as the module it is."""
    if where.endswith(".py") or os.sep in where:
        return _load_file(where)
    if not all(part.isidentifier() for part in where.split(".")):
        raise DefinitionError(f"{where!r} is no module. {_SPELT}, such as shop.orders:order or shop.py:order.")
    _look_in(str(Path.cwd()))
    return _import(
        where,
        f"{where!r} cannot be found from {Path.cwd()}. {_SPELT}: give the name as in `import {where}`, or the file.",
    )


def _load_file(where: str) -> ModuleType:
    path = Path(where).resolve()
    if not path.is_file():
        raise DefinitionError(f"There is no file {where}. {_SPELT}.")
    parts, home = [path.stem], path.parent
    while (home / "__init__.py").is_file():
        parts.insert(0, home.name)
        home = home.parent
    _look_in(str(home))
    module = _import(".".join(parts), f"{where} cannot be imported as a module: rename it to letters, digits and '_'.")
    if module.__file__ is None or Path(module.__file__).resolve() != path:
        raise DefinitionError(
            f"{where}: another module is called {'.'.join(parts)!r} ({module.__file__ or 'built in'}): rename the file"
        )
    return module


def _look_in(directory: str) -> None:
    if directory not in sys.path:
        sys.path.insert(0, directory)


def _import(name: str, unfound: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise DefinitionError(unfound) from None
        raise DefinitionError(f"{_place(error)}: {error}: install it, or mend the import") from error
    except SyntaxError as error:
        raise DefinitionError(f"{error.filename}:{error.lineno}: {error.msg}: {(error.text or '').strip()}") from error
    except RemitError as error:
        raise DefinitionError(f"{_place(error)}: {error}") from error
    except Exception as error:
        raise DefinitionError(f"{_place(error)}: importing it raised {type(error).__name__}: {error}") from error


def _place(error: BaseException) -> str:
    """File and line of the user's own code that raised, the innermost that is not Remit's or the interpreter's."""
    ours = (PACKAGE, str(Path(os.__file__).parent), "<")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(ours)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "the module"
