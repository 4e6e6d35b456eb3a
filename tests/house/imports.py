"""Which module imports which, read from the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.house.sources import Module

__all__ = ["Import", "banned_calls", "cycles", "graph", "imports_of"]


@dataclass(frozen=True)
class Import:
    """One imported module: who asks, for what, on which line, inside a function, for type checkers only."""

    importer: str
    target: str
    line: int
    in_function: bool
    where: str
    for_types: bool = False

    def __str__(self) -> str:
        return f"{self.where}:{self.line}: {self.importer} imports {self.target}"


def imports_of(module: Module, known: Iterable[str] = ()) -> Iterator[Import]:
    """Every import of a module; `known` are the modules, which tell `from a import module` from a name's."""
    names = frozenset(known)
    typed = {id(inner) for block in ast.walk(module.tree) if _for_types(block) for inner in ast.walk(block)}
    for node, in_function in _walk(module.tree, in_function=False):
        for target in _targets(node, module, names):
            line = getattr(node, "lineno", 0)
            yield Import(module.name, target, line, in_function, module.where, id(node) in typed)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _walk(node: ast.AST, *, in_function: bool) -> Iterator[tuple[ast.AST, bool]]:
    yield node, in_function
    inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, in_function=inside)


def _targets(node: ast.AST, module: Module, known: frozenset[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = _absolute(node, module)
        return sorted({f"{base}.{a.name}" if f"{base}.{a.name}" in known else base for a in node.names})
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        return [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return []


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    if not node.level:
        return node.module or ""
    package = module.name.split(".") if module.is_package else module.name.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def graph(modules: Iterable[Module]) -> dict[str, set[str]]:
    """Module → the modules among these that it imports at run time, wherever in its text.

    Names for type checkers do not count: the engine's rooms name the Engine that wires them (docs/design.md).
    """
    listed = list(modules)
    names = {module.name for module in listed}
    return {
        m.name: {i.target for i in imports_of(m, names) if not i.for_types} & names - {m.name} for m in listed
    }


def cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """One path per cycle found by depth-first search, its first module repeated at the end."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
        elif name not in done:
            for target in sorted(edges.get(name, ())):
                visit(target, [*path, name])
            done.add(name)

    for name in sorted(edges):
        visit(name, [])
    return found


def banned_calls(module: Module, banned: frozenset[str]) -> list[str]:
    """Calls of these builtins (`open`) or methods (`.now`), as file:line and the text of the call."""
    calls = [node for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    return [
        f"{module.where}:{call.lineno}: {ast.unparse(call.func)}()"
        for call in calls
        if (isinstance(call.func, ast.Name) and call.func.id in banned)
        or (isinstance(call.func, ast.Attribute) and f".{call.func.attr}" in banned)
    ]
