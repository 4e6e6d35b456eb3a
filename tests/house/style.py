"""The rules of style as functions over one file; each returns what it found, as `file:line: what`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.house.sources import Module

__all__ = [
    "bad_names",
    "dunder_all",
    "long_functions",
    "marks",
    "silent_handlers",
    "undocumented",
]

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500

VAGUE = re.compile(
    r"Manager|Helper|Util|Common|^_?Base[A-Z]|Impl$|(^|_)(manager|helper|util|utils|common|impl)(_|$)"
)

# A tilde stands in each word, so that this file does not hold what it forbids.
SPELT = {
    "unfinished work": r"\b(?:TO~DO|FIX~ME|X~XX|HA~CK)\b",
    "something provisional": r"\bfor~ now\b|\bplace~holder\b|\bsimu~lated (?:result|answer)",
    "a missing part": r"Not~ImplementedError",
    "a skipped test": r"pytest\.(?:mark\.)?sk~ip|pytest\.import~orskip|mark\.xf~ail",
    "a path of one machine": r"(?<![\w.~~}*/])/(?:wo~rk|ro~ot|ho~me|t~mp|fa~rm|Us~ers)/",
    "a registry's host": r"py~pi\.org|python~hosted\.org|npm~js\.(?:org|com)|deb~ian\.org/|proxy\.go~lang",
}
MARKS = {what: re.sub("~(?!~)", "", pattern) for what, pattern in SPELT.items()}


def marks(where: str, text: str) -> list[str]:
    """Marks of unfinished work, of this machine or of a registry, anywhere in a text file."""
    return [
        f"{where}:{number}: {what}: {line.strip()[:80]}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in MARKS.items()
        if re.search(pattern, line)
    ]


def long_functions(module: Module) -> list[str]:
    """Functions that do not fit a screen, from `def` to the last line; and files that do not fit a room."""
    found = [
        f"{module.where}:{node.lineno}: {node.name} has {_length(node)} lines, at most {FUNCTION_LINES_MAX}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _length(node) > FUNCTION_LINES_MAX
    ]
    lines = len(module.text.splitlines())
    return found + (
        [f"{module.where}: {lines} lines, at most {FILE_LINES_MAX}"] if lines > FILE_LINES_MAX else []
    )


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def bad_names(module: Module) -> list[str]:
    """Modules, classes and functions whose name says nothing."""
    nodes = [
        n
        for n in ast.walk(module.tree)
        if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    found = [f"{module.where}:{n.lineno}: {n.name}" for n in nodes if VAGUE.search(n.name)]
    return found + [f"{module.where}: {part}" for part in module.name.split(".") if VAGUE.search(part)]


def dunder_all(module: Module) -> list[str]:
    """A module without `__all__`, or whose `__all__` names something twice or that it does not have."""
    listed = [n.value for n in module.tree.body if isinstance(n, ast.Assign | ast.AnnAssign) and _assigns_all(n)]
    if not listed:
        return [f"{module.where}: no __all__"]
    names = [element.value for element in getattr(listed[0], "elts", []) if isinstance(element, ast.Constant)]
    missing = set(names) - set(_bound(module.tree))
    doubled = {name for name in names if names.count(name) > 1}
    return [
        f"{module.where}: __all__ names {name!r}, which is missing or doubled"
        for name in sorted(missing | doubled)
    ]


def _assigns_all(node: ast.Assign | ast.AnnAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _bound(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def silent_handlers(module: Module) -> list[str]:
    """`except:` without a type, handlers that only pass, broad ones that give up, broad `suppress`."""
    handlers = [n for n in ast.walk(module.tree) if isinstance(n, ast.ExceptHandler)]
    found = [f"{module.where}:{h.lineno}: silent except" for h in handlers if _is_silent(h)]
    calls = [
        n
        for n in ast.walk(module.tree)
        if isinstance(n, ast.Call) and ast.unparse(n.func).endswith("suppress")
    ]
    return found + [
        f"{module.where}:{c.lineno}: suppresses {ast.unparse(arg)}"
        for c in calls
        for arg in c.args
        if ast.unparse(arg) in {"Exception", "BaseException"}
    ]


def _is_silent(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    empty = all(isinstance(n, ast.Pass) or _is_constant(n) for n in handler.body)
    broad = bool({"Exception", "BaseException"} & set(re.findall(r"\w+", ast.unparse(handler.type))))
    gives_up = all(
        isinstance(n, ast.Pass | ast.Continue | ast.Break)
        or _is_constant(n)
        or (isinstance(n, ast.Return) and (n.value is None or isinstance(n.value, ast.Constant)))
        for n in handler.body
    )
    return empty or (broad and gives_up)


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def undocumented(module: Module) -> list[str]:
    """The module itself, its public classes and functions, and their public methods, without a docstring."""
    found = [] if ast.get_docstring(module.tree) else [f"{module.where}: no module docstring"]
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found += _undocumented(module, node)
    return found


def _undocumented(module: Module, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    exempt = {"overload", "override"} & {ast.unparse(d).split(".")[-1] for d in node.decorator_list}
    if node.name.startswith("_") or exempt:
        return []
    found = [] if ast.get_docstring(node) else [f"{module.where}:{node.lineno}: {node.name} has no docstring"]
    inner = node.body if isinstance(node, ast.ClassDef) else []
    for child in inner:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            found += _undocumented(module, child)
    return found
