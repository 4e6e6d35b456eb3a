"""Calls one function of a module or file: the child process that `kill.run_until_killed` runs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

__all__ = ["main"]


def main(target: str, *arguments: str) -> None:
    """Calls `package.module:function` or `path/file.py:function`; ValueError for another form of target."""
    source, _, name = target.rpartition(":")
    if not source:
        raise ValueError(f"{target!r}: write package.module:function or path/file.py:function")
    module = _load_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    getattr(module, name)(*arguments)


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
