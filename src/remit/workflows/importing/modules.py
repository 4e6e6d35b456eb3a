"""Importing the modules of a workflow's directory, each file once, however many directories have modules of the same names.

A module gets the name that Python would give it where it can be found on the path and no other has that name, else one
below a package made up for its directory. Its own import statements look into its directory first; all else is Python's.
"""

from __future__ import annotations

import builtins
import hashlib
import importlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any, NamedTuple

__all__ = ["Home", "file_below", "home_of", "parts_below", "without_import"]

_lock = RLock()
_homes: dict[Path, Home] = {}


def home_of(directory: Path) -> Home:
    """The home of a directory, the same one for each that asks: modules are imported once in a process."""
    with _lock:
        return _homes.setdefault(directory, Home(directory))


def file_below(directory: Path, parts: Sequence[str]) -> Path | None:
    """The source file of the module with these names below a directory; None where there is none, or a link leads out."""
    home = str(directory)
    base = os.path.join(home, *parts)  # noqa: PTH118  # asked for thousands of times, and pathlib takes ten times as long
    for candidate in (f"{base}{os.sep}__init__.py", f"{base}.py"):
        if not os.path.isfile(candidate):  # noqa: PTH113
            continue
        real = os.path.realpath(candidate)
        if real.startswith(os.path.join(home, "")):  # noqa: PTH118
            return Path(real)
    return None


def parts_below(directory: Path, parts: Sequence[str], *, in_code: bool = False) -> tuple[str, ...] | None:
    """The names below a directory of the module that is called `parts` there; None where it has none.

    The directory's own name, and those above it, may stand in front; `in_code` the standard library's names come first.
    """
    for own in range(len(parts) + 1):
        if own and (tuple(parts[:own]) != directory.parts[-own:] or (in_code and parts[0] in sys.stdlib_module_names)):
            continue
        if file_below(directory, parts[own:]) is not None:
            return tuple(parts[own:])
    return None


class Findable(NamedTuple):
    """What an import of a name would find: its source, and where the modules below it would be looked for."""

    file: Path | None
    places: tuple[Path, ...]


def without_import(parts: Sequence[str]) -> Findable | None:
    """What an import of that name would find; nothing is imported, nor are the packages above. None where there is nothing.

    Below the top level only files are looked for, since Python's own finders need the packages above imported.
    """
    finders = [finder.find_spec for finder in sys.meta_path if hasattr(finder, "find_spec")]
    spec = next((spec for find in finders if (spec := find(parts[0], None)) is not None), None)
    if spec is None:
        return None
    source = Path(spec.origin).resolve() if spec.origin is not None and spec.has_location else None
    found = Findable(source, tuple(Path(each).resolve() for each in spec.submodule_search_locations or ()))
    for part in parts[1:]:
        below = _in_places(part, found.places)
        if below is None:
            return None
        found = below
    return found


def _in_places(name: str, places: Iterable[Path]) -> Findable | None:
    plain = []
    for place in places:
        base = place / name
        if (base / "__init__.py").is_file():
            return Findable((base / "__init__.py").resolve(), (base.resolve(),))
        if base.with_name(f"{name}.py").is_file():
            return Findable(base.with_name(f"{name}.py").resolve(), ())
        if base.is_dir():
            plain.append(base.resolve())
    return Findable(None, tuple(plain)) if plain else None


class Home:
    """A directory whose modules find each other by their plain names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        mark = hashlib.sha256(str(directory).encode()).hexdigest()[:8]
        self._package = f"workflow_{re.sub(r'[^A-Za-z0-9_]', '_', directory.name)}_{mark}"
        self._builtins = _Builtins({"__import__": self._import})
        self._own: dict[str, tuple[str, ...] | None] = {}
        self._modules: dict[tuple[str, ...], ModuleType] = {}
        self._fronts: dict[str, ModuleType] = {}

    def module(self, parts: tuple[str, ...]) -> ModuleType:
        """The module with these names below the directory, imported now if it has not been; raises what its code raises."""
        with _lock:
            found = self._modules.get(parts)
            if found is None:
                file = file_below(self.directory, parts)
                found = self._plain(parts) if file is None else _loaded(file) or self._load(parts, file)
                self._modules[parts] = found
                if len(parts) > 1:
                    above = self.module(parts[:-1])
                    vars(above).setdefault(parts[-1], found)
            return found

    def _load(self, parts: tuple[str, ...], file: Path) -> ModuleType:
        """Import a file; the package above it comes first, as ever, and may import the file itself."""
        name = _name_on_the_path(file)
        if name is not None and "." in name:
            importlib.import_module(name.rpartition(".")[0])
        elif name is None and parts:
            self.module(parts[:-1])
        there = _loaded(file)
        return there if there is not None else self._run(name or ".".join((self._package, *parts)), file)

    def _run(self, name: str, file: Path) -> ModuleType:
        package = [str(file.parent)] if file.name == "__init__.py" else None
        loader = _Loader(name, str(file), self._builtins)
        spec = spec_from_file_location(name, file, loader=loader, submodule_search_locations=package)
        assert spec is not None
        module = sys.modules[name] = module_from_spec(spec)
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        above, _, last = name.rpartition(".")
        if above in sys.modules:
            setattr(sys.modules[above], last, module)
        return module

    def _plain(self, parts: tuple[str, ...]) -> ModuleType:
        """A directory without `__init__.py`: a package that holds nothing but modules."""
        name = ".".join((self._package, *parts))
        found = sys.modules[name] = ModuleType(name)
        found.__path__ = [str(self.directory.joinpath(*parts))]
        return found

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """`import` as the statements of this directory's modules do it."""
        parts = self._relative(name, str((globals or {})["__file__"]), level) if level else self._absolute(name)
        if parts is None:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = self.module(parts)
        if not fromlist:
            return self._first_of(name, module, parts)
        for each in self._wanted(fromlist, module):
            if not hasattr(module, each) and file_below(self.directory, (*parts, each)) is not None:
                self.module((*parts, each))
        return module

    def _absolute(self, name: str) -> tuple[str, ...] | None:
        if name not in self._own:
            names = tuple(name.split("."))
            inside = parts_below(self.directory, names, in_code=True)
            if inside is None and self._is_plain(names) and without_import(names[:1]) is None:
                inside = names
            self._own[name] = inside
        return self._own[name]

    def _relative(self, name: str, file: str, level: int) -> tuple[str, ...] | None:
        base = Path(file).resolve().parents[level - 1]
        if not base.is_relative_to(self.directory):
            return None
        parts = (*base.relative_to(self.directory).parts, *(name.split(".") if name else ()))
        return parts if self._is_plain(parts) or file_below(self.directory, parts) is not None else None

    def _is_plain(self, parts: Sequence[str]) -> bool:
        base = self.directory.joinpath(*parts)
        return base.is_dir() and base.resolve().is_relative_to(self.directory)

    def _first_of(self, name: str, module: ModuleType, parts: tuple[str, ...]) -> Any:
        """What `import a.b.c` binds: `a`, through which the others are reached."""
        if sys.modules.get(name) is module:
            return sys.modules[name.partition(".")[0]]
        names = name.split(".")
        if len(parts) == len(names):
            return self.module(parts[:1])
        chain = module
        for own in range(len(names) - 1, 0, -1):
            front = ".".join(names[:own])
            above = self._fronts.setdefault(front, ModuleType(front))
            setattr(above, names[own], chain)
            chain = above
        return chain

    def _wanted(self, fromlist: Sequence[str], module: ModuleType) -> Iterator[str]:
        for each in fromlist:
            yield from getattr(module, "__all__", ()) if each == "*" else (each,)


class _Builtins(dict[str, Any]):
    """The builtins of now, but for what is held here: whoever replaces one replaces it for these modules too."""

    def __missing__(self, name: str) -> Any:
        return vars(builtins)[name]


class _Loader(SourceFileLoader):
    """Loads a module whose import statements go through its home."""

    def __init__(self, name: str, path: str, names: _Builtins) -> None:
        super().__init__(name, path)
        self._names = names

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        module.__dict__["__builtins__"] = self._names
        super().exec_module(module)


def _loaded(file: Path) -> ModuleType | None:
    """The module that was made from a file already, whoever imported it."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__dict__", {}).get(
            "__file__"
        )  # what a module makes up when it is asked is not looked for
        if isinstance(path, str) and path.endswith(file.name) and Path(path).resolve() == file:
            return module
    return None


def _name_on_the_path(file: Path) -> str | None:
    """The name by which an import finds the file, the shortest one; None where it would find another or none."""
    for entry in sorted({Path(each).resolve() for each in sys.path}, key=lambda each: -len(each.parts)):
        if not file.is_relative_to(entry):
            continue
        inside = file.relative_to(entry).with_suffix("")
        parts = inside.parts[:-1] if file.name == "__init__.py" else inside.parts
        if not parts or not all(part.isidentifier() for part in parts) or ".".join(parts) in sys.modules:
            continue
        found = without_import(parts)
        if found is not None and found.file == file:
            return ".".join(parts) if _packages_agree(parts, file) else None
    return None


def _packages_agree(parts: Sequence[str], file: Path) -> bool:
    """Whether the packages above it that are imported already are those that the file lies in."""
    where = file.parent if file.name != "__init__.py" else file.parent.parent
    for cut in range(len(parts) - 1, 0, -1):
        package = sys.modules.get(".".join(parts[:cut]))
        if package is not None and where not in {Path(each).resolve() for each in getattr(package, "__path__", ())}:
            return False
        where = where.parent
    return True
