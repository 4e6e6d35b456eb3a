"""The public face: what `remit` and its public modules export is there, documented and sorted."""

from __future__ import annotations

import ast
import importlib
import inspect
from types import ModuleType
from typing import Any

import pytest

import remit
from remit import testing, workflows
from tests.house.layers import public_names
from tests.house.sources import modules

MODULES = frozenset(module.name for module in modules())
PUBLIC = sorted(public_names(MODULES) & MODULES | {"remit", "remit.durable", "remit.errors", "remit.testing"})


def _exports(module: ModuleType) -> list[tuple[str, Any]]:
    return [(name, getattr(module, name)) for name in module.__all__]


def _undocumented(name: str, value: Any) -> list[str]:
    """An exported class or function, and a class's public methods, that no docstring explains."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return []
    found = [] if _has_own_doc(value) else [name]
    members = vars(value).items() if inspect.isclass(value) else ()
    for inner, member in members:
        function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        if (
            not inner.startswith("_")
            and inspect.isfunction(function)
            and not inspect.getdoc(getattr(value, inner))
        ):
            found.append(f"{name}.{inner}")
    return found


def _has_own_doc(value: Any) -> bool:
    """An inherited docstring, or the signature that dataclass writes when there is none, explains nothing."""
    doc = value.__doc__
    return bool(doc) and not doc.startswith(f"{value.__name__}(")


@pytest.mark.parametrize("name", PUBLIC)
def test_what_a_public_module_names_is_there_and_documented(name: str) -> None:
    module = importlib.import_module(name)
    exports = _exports(module)
    assert exports != []
    assert [entry for export in exports for entry in _undocumented(*export)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_nothing_public_is_left_out_of_all(name: str) -> None:
    """What a public module defines itself is listed in its `__all__`, or begins with an underscore."""
    module = importlib.import_module(name)
    defined = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == name]
    assert [n for n in defined if not n.startswith("_") and n not in module.__all__] == []


def test_the_names_that_the_guide_shows_are_exported() -> None:
    shown = {
        "Budget", "CallFailed", "Child", "DomainError", "Outcome", "ProcessRef", "Remit", "TransientError",
        "Usage", "ask", "call_process", "changed", "charge", "continue_as", "current", "model", "process",
        "run", "set_progress", "start_process", "step", "tool",
    }  # fmt: skip
    assert shown - set(importlib.import_module("remit").__all__) == set()
    durable = importlib.import_module("remit.durable")
    assert {"sleep", "now", "uuid4", "random", "wait_event"} - set(durable.__all__) == set()


class _Documented:
    """Has a docstring."""

    def method(self) -> None: ...

    @property
    def value(self) -> int:
        """A value."""
        return 1


def test_a_method_without_a_docstring_is_found() -> None:
    assert _undocumented("Documented", _Documented) == ["Documented.method"]


@pytest.mark.parametrize(("package", "at_once"), [(remit, set()), (workflows, set()), (testing, {"boundaries"})])
def test_names_loaded_late_are_those_that_type_checkers_see(package: ModuleType, at_once: set[str]) -> None:
    """A table says from where names are loaded when they are used; it says what the imports under TYPE_CHECKING say."""
    face = next(module for module in modules() if module.name == package.__name__)
    block = next(node for node in face.tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == {name: home for home, names in package._HOMES.items() for name in names.split()}
    assert {*seen, *at_once} == set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no attribute 'any_other'; it has: "):
        _ = package.any_other
