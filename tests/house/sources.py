"""The project's own files, parsed once, for the tests in this directory."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Module", "modules", "parse", "python_files", "text_files"]

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"

# Directories that tools and runs make; everything else in a checkout is the project's.
LEFTOVERS = {"__pycache__", "dist", "build", "htmlcov", "results", "out", "node_modules"}


@dataclass(frozen=True)
class Module:
    """One file of `src/remit`: its dotted name, path, text and syntax tree."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        """True for an `__init__.py`."""
        return self.path.name == "__init__.py"

    @property
    def where(self) -> str:
        """The path from the root of the checkout, as errors print it."""
        return str(self.path.relative_to(ROOT)) if self.path.is_relative_to(ROOT) else str(self.path)


def parse(path: Path, name: str) -> Module:
    """Read and parse one file."""
    text = path.read_text(encoding="utf-8")
    return Module(name, path, text, ast.parse(text, str(path)))


@functools.cache
def modules() -> tuple[Module, ...]:
    """Every module of `remit`, by name."""
    paths = sorted((SOURCE / "remit").rglob("*.py"))
    return tuple(parse(path, _dotted(path)) for path in paths)


def _dotted(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def text_files() -> Iterator[Path]:
    """Every text file of the checkout: hidden directories (but for `.ci`) and leftovers are not its own."""
    for path in sorted(ROOT.iterdir()):
        if path.is_file() and path.name != ".git" and _is_text(path):
            yield path
        elif path.is_dir() and (path.name == ".ci" or not _is_leftover(path)):
            yield from (found for found in _below(path))


def _below(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.is_dir() and not _is_leftover(path):
            yield from _below(path)
        elif path.is_file() and _is_text(path):
            yield path


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(4096)


def _is_leftover(directory: Path) -> bool:
    return directory.name in LEFTOVERS or directory.name.startswith(".")


def python_files(*directories: str) -> list[Path]:
    """The Python files below these directories of the checkout, scripts without a suffix included."""
    found = []
    for path in text_files():
        inside = path.relative_to(ROOT).parts[0] in directories
        if inside and (path.suffix == ".py" or (path.suffix == "" and _has_python_shebang(path))):
            found.append(path)
    return found


def _has_python_shebang(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and b"python" in first
