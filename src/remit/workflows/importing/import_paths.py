"""Import paths such as `steps.validate`: what they name is found in the source, and nothing is imported to find it.

A path names a function or a class that is written below the workflow's own directory, or below a package that the
operator allows. `steps.validate`, `steps:validate`, `steps.Orders.validate` and, with the directory's own name in front,
`orders.steps.validate` name the same. Names that a module has imported are followed to where they are written.
"""

from __future__ import annotations

import ast
import difflib
import keyword
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from remit.errors import DefinitionError
from remit.workflows.importing.modules import file_below, parts_below, without_import

__all__ = ["ImportPathError", "Located", "Rules", "locate", "names_in"]

_MOST_HOPS = 20
_SHOWN = 200
_MOST_NAMES = 20
_LONGEST_NAME = 200
"""Bytes: what file systems take, with room for an ending."""
_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Binding = _Definition | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign


class ImportPathError(DefinitionError):
    """An import path that names nothing, or nothing that a workflow may use; `problem` and `suggestion` say what and what else."""

    def __init__(self, path: str, problem: str, suggestion: str | None = None) -> None:
        hint = f" Did you mean {suggestion!r}?" if suggestion is not None else ""
        shown = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"
        super().__init__(f"{shown!r} {problem}.{hint}")
        self.path = path
        self.problem = problem
        self.suggestion = suggestion


class Located(NamedTuple):
    """Where a path leads: the file and the line that define it, and the definition itself where it is written as one."""

    path: str
    file: Path
    """Of the module that the path names; what it names may have been imported there from `defined_in`."""
    attributes: tuple[str, ...]
    defined_in: Path
    line: int
    node: _Definition | None
    """None where the name is assigned: what it holds is looked at when an app opens."""


class Rules(NamedTuple):
    """What may be named: all below one directory, and the modules below some packages."""

    directory: Path
    allow: tuple[str, ...]

    def allows(self, parts: Sequence[str]) -> bool:
        """Whether a module of that name lies below an allowed package."""
        return any(prefix.split(".") == list(parts[: prefix.count(".") + 1]) for prefix in self.allow)

    def places(self) -> Iterator[Path]:
        """The directories whose modules may be reached, and the files that stand alone."""
        yield self.directory
        for prefix in self.allow:
            found = without_import(prefix.split("."))
            if found is not None:
                yield from found.places or ((found.file,) if found.file is not None else ())


def locate(path: str, directory: Path | str, allow: Iterable[str] = ()) -> Located:
    """Where an import path leads, from the source alone; raises ImportPathError.

    `directory` is the workflow's own; `allow` lists dotted names of packages and modules beside it.
    """
    rules = Rules(Path(directory).resolve(), tuple(allow))
    parts = names_in(path)
    file, attributes = _module_of(path, parts, rules)
    found = _follow(path, file, attributes, rules, _MOST_HOPS)
    return found._replace(file=file, attributes=attributes)


def names_in(path: str) -> tuple[str, ...]:
    """The names of an import path, one after the other; raises ImportPathError for text that is none."""
    module, colon, name = path.partition(":")
    parts = tuple(path.split(".")) if not colon else (*module.split("."), *name.split("."))
    if len(parts) < 2 or not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        raise ImportPathError(path, "is no import path: write module.function, such as 'steps.validate'")
    if len(parts) > _MOST_NAMES or any(len(part.encode()) > _LONGEST_NAME for part in parts):
        raise ImportPathError(path, f"is too long: at most {_MOST_NAMES} names of {_LONGEST_NAME} bytes")
    if any(part.startswith("__") for part in parts):
        raise ImportPathError(path, "reaches for what begins with two underscores, which no workflow may use")
    return parts


def _module_of(path: str, parts: tuple[str, ...], rules: Rules) -> tuple[Path, tuple[str, ...]]:
    """The file of the longest module at the front of a path, and the names in it."""
    for cut in range(len(parts) - 1, 0, -1):
        file = _own(parts[:cut], rules) or _allowed(parts[:cut], rules)
        if file is not None:
            return file, parts[cut:]
    raise _no_module(path, parts, rules)


def _own(parts: Sequence[str], rules: Rules, *, in_code: bool = False) -> Path | None:
    inside = parts_below(rules.directory, parts, in_code=in_code)
    return file_below(rules.directory, inside) if inside is not None else None


def _allowed(parts: Sequence[str], rules: Rules) -> Path | None:
    """The file of a module below an allowed package."""
    found = without_import(parts) if rules.allows(parts) else None
    return found.file if found is not None and found.file is not None and found.file.suffix == ".py" else None


def _no_module(path: str, parts: tuple[str, ...], rules: Rules) -> ImportPathError:
    base = rules.directory.joinpath(parts[0])
    if base.with_name(f"{parts[0]}.py").is_symlink() or base.is_symlink():
        return ImportPathError(path, f"leads out of {rules.directory.name}/ by a symbolic link")
    if rules.allows(parts):
        return ImportPathError(path, f"names no module with Python source: {'.'.join(parts[:-1])} was not found")
    there = sorted({each.stem for each in rules.directory.glob("*.py")} | set(rules.allow))
    close = difflib.get_close_matches(parts[0], there, n=1)
    suggestion = ".".join((close[0], *parts[1:])) if close and _leads_somewhere((close[0], *parts[1:]), rules) else None
    return ImportPathError(
        path,
        f"names no module in the workflow's own directory {rules.directory.name}/, nor below an allowed package"
        f" ({', '.join(rules.allow) or 'none is allowed'}): put {parts[0]}.py beside the workflow,"
        f" or allow it with workflow_imports=[{parts[0]!r}] or --allow {parts[0]}",
        suggestion,
    )


def _leads_somewhere(parts: tuple[str, ...], rules: Rules) -> bool:
    try:
        locate(".".join(parts), rules.directory, rules.allow)
    except ImportPathError:
        return False
    return True


def _follow(path: str, file: Path, attributes: tuple[str, ...], rules: Rules, hops: int) -> Located:
    """To the definition of a module's attribute, through what modules import from each other."""
    bound = _bindings(path, file)
    name = attributes[0]
    node = bound.get(name)
    if node is None:
        return _through_stars(path, file, attributes, rules, hops)
    if isinstance(node, ast.ClassDef):
        return _inside(path, file, node, attributes)
    if isinstance(node, ast.Import | ast.ImportFrom):
        return _imported(path, file, node, attributes, rules, hops)
    if len(attributes) > 1:
        raise ImportPathError(path, f"goes through {name!r}, which is no class")
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return Located(path, file, attributes, file, node.lineno, node)
    chain = _chain(node.value)
    if chain:
        return _follow(path, file, chain, rules, _one_less(path, hops))
    return Located(path, file, attributes, file, node.lineno, None)


def _inside(path: str, file: Path, node: ast.ClassDef, attributes: tuple[str, ...]) -> Located:
    """A class, or a function or class written in it."""
    found: _Definition = node
    for name in attributes[1:]:
        there: dict[str, _Definition] = {}
        if isinstance(found, ast.ClassDef):
            there = {each.name: each for each in found.body if isinstance(each, _DEFINED)}
        if name not in there:
            raise ImportPathError(
                path,
                f"names nothing that is written in {found.name!r} ({file.name}:{found.lineno})",
                _close(path, name, there),
            )
        found = there[name]
    return Located(path, file, attributes, file, found.lineno, found)


def _imported(
    path: str, file: Path, node: ast.Import | ast.ImportFrom, attributes: tuple[str, ...], rules: Rules, hops: int
) -> Located:
    name = attributes[0]
    if isinstance(node, ast.Import):
        raise ImportPathError(
            path, f"goes through {name!r}, which {file.name}:{node.lineno} imports as a module: name the module itself"
        )
    original = next(each.name for each in node.names if (each.asname or each.name) == name)
    source = _source_of(file, node, rules)
    if source is None:
        raise ImportPathError(
            path,
            f"names what {file.name}:{node.lineno} imports from {'.' * node.level}{node.module or ''}, which is neither in the"
            " workflow's own directory nor in an allowed package",
        )
    return _follow(path, source, (original, *attributes[1:]), rules, _one_less(path, hops))


def _through_stars(path: str, file: Path, attributes: tuple[str, ...], rules: Rules, hops: int) -> Located:
    module = _module(path, file)
    sources = [source for star in module.stars if (source := _source_of(file, star, rules)) is not None]
    for source in sources:
        if attributes[0] in _bindings(path, source) or _module(path, source).stars:
            return _follow(path, source, attributes, rules, _one_less(path, hops))
    raise ImportPathError(path, f"names nothing that {file.name} defines", _close(path, attributes[0], module.bound))


def _source_of(file: Path, node: ast.ImportFrom, rules: Rules) -> Path | None:
    """The file of the module that a `from … import` names; None where a workflow may not reach it."""
    parts = tuple(node.module.split(".")) if node.module else ()
    if not node.level:
        own = _own(parts, rules, in_code=True) if file.is_relative_to(rules.directory) else None
        return own or _allowed(parts, rules)
    base = file.parents[node.level - 1]
    place = next((each for each in rules.places() if base.is_relative_to(each)), None)
    return file_below(place, (*base.relative_to(place).parts, *parts)) if place is not None else None


def _one_less(path: str, hops: int) -> int:
    if not hops:
        raise ImportPathError(path, "is passed on from module to module without end")
    return hops - 1


def _chain(value: ast.expr | None) -> tuple[str, ...]:
    """The names of `a.b.c`; empty for any other expression."""
    names: list[str] = []
    while isinstance(value, ast.Attribute):
        names.append(value.attr)
        value = value.value
    return (value.id, *reversed(names)) if isinstance(value, ast.Name) else ()


def _bindings(path: str, file: Path) -> dict[str, _Binding]:
    """What a module's names are bound to by its own statements, the last one counting."""
    return _module(path, file).bound


def _module(path: str, file: Path) -> _Module:
    try:
        found = file.stat()
        return _parsed(str(file), found.st_mtime_ns, found.st_size)
    except SyntaxError as error:
        problem = f"is in {file.name}, whose line {error.lineno} is no Python: {error.msg}"
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        problem = f"is in {file.name}, which cannot be read: {error}"
    raise ImportPathError(path, problem)


class _Module(NamedTuple):
    bound: dict[str, _Binding]
    stars: list[ast.ImportFrom]
    """What is imported with `*`."""


@lru_cache(maxsize=256)
def _parsed(file: str, _changed_at: int, _size: int) -> _Module:
    bound: dict[str, _Binding] = {}
    stars = []
    for each in _statements(ast.parse(Path(file).read_bytes(), file).body):
        if isinstance(each, _DEFINED):
            bound[each.name] = each
        elif isinstance(each, ast.Import):
            bound.update({(name.asname or name.name.split(".")[0]): each for name in each.names})
        elif isinstance(each, ast.ImportFrom) and each.names[0].name == "*":
            stars.append(each)
        elif isinstance(each, ast.ImportFrom):
            bound.update({(name.asname or name.name): each for name in each.names})
        elif isinstance(each, ast.Assign):
            names = [name.id for target in each.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            bound.update(dict.fromkeys(names, each))
        elif isinstance(each, ast.AnnAssign) and each.value is not None and isinstance(each.target, ast.Name):
            bound[each.target.id] = each
    return _Module(bound, stars)


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, and those under its conditions, attempts and loops."""
    for each in body:
        yield each
        if isinstance(each, ast.If | ast.For | ast.While | ast.Try | ast.With):
            for inner in (each.body, getattr(each, "orelse", ()), getattr(each, "finalbody", ())):
                yield from _statements(inner)
            for handler in getattr(each, "handlers", ()):
                yield from _statements(handler.body)


def _close(path: str, name: str, there: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(there), n=1)
    return path.removesuffix(name) + close[0] if close and path.endswith(name) else None
