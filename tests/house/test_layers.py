"""Imports go one way, the kernel stays pure, and nothing hides an import in a function."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

import pytest

from tests.house.imports import Import, banned_calls, cycles, graph, imports_of
from tests.house.layers import (
    KERNEL_ALLOWED,
    KERNEL_FORBIDDEN,
    LAYERS,
    LAZY,
    PUBLIC_ONLY,
    REACH,
    layer_of,
    public_names,
)
from tests.house.sources import ROOT, Module, modules, parse, python_files

RANK = {layer: rank for rank, layers in enumerate(LAYERS) for layer in layers}
KERNEL_BANNED_CALLS = frozenset(
    {"open", "print", "input", "eval", "exec", "breakpoint", ".now", ".utcnow", ".today"}
)


def _names(among: tuple[Module, ...]) -> frozenset[str]:
    return frozenset(module.name for module in among)


def _inner_imports(among: tuple[Module, ...]) -> list[Import]:
    """The imports of `remit` by `remit`."""
    found = [i for module in among for i in imports_of(module, _names(among))]
    return [i for i in found if i.target.split(".")[0] == "remit"]


def upward(among: tuple[Module, ...]) -> list[str]:
    """Imports that climb the tower, or reach a sibling."""
    found = []
    for item in _inner_imports(among):
        ours, theirs = layer_of(item.importer), layer_of(item.target)
        climbs = ours in RANK and (theirs not in RANK or RANK[theirs] >= RANK[ours])
        if ours != theirs and climbs:
            found.append(f"{item}: {ours} may not import {theirs}")
    return found


def private(among: tuple[Module, ...]) -> list[str]:
    """What integrations and testing take that is not public."""
    public = public_names(_names(among))
    found = []
    for item in _inner_imports(among):
        ours, theirs = layer_of(item.importer), layer_of(item.target)
        inside = ours == theirs or theirs in REACH.get(ours, ())
        if ours in PUBLIC_ONLY and not inside and item.target not in public:
            found.append(f"{item}: {ours} uses public names only")
    return found


def impure(among: tuple[Module, ...]) -> list[str]:
    """What the kernel imports or calls that acts, or that is not in the standard library."""
    found = []
    for module in (m for m in among if layer_of(m.name) == "kernel"):
        for item in imports_of(module, _names(among)):
            top = item.target.split(".")[0]
            known = sys.stdlib_module_names | KERNEL_ALLOWED
            if top != "remit" and (top not in known or top in KERNEL_FORBIDDEN):
                found.append(f"{item}: the kernel only decides")
        found += banned_calls(module, KERNEL_BANNED_CALLS)
    return found


def hidden(among: tuple[Module, ...]) -> list[str]:
    """In-function imports that the table does not argue for."""
    found = [i for module in among for i in imports_of(module, _names(among)) if i.in_function]
    return [f"{i}: in a function and not in layers.LAZY" for i in found if (i.importer, i.target) not in LAZY]


RULES = [upward, private, impure, hidden]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_remit_keeps_the_rule(rule) -> None:
    assert rule(modules()) == []


def test_no_import_cycles() -> None:
    assert cycles(graph(modules())) == []


def test_every_module_is_reached() -> None:
    """A module that nothing imports, runs or names is dead."""
    reached = {target for targets in graph(modules()).values() for target in targets}
    texts = [path.read_text("utf-8") for path in [*python_files("src"), ROOT / "pyproject.toml"]]
    dead = [
        module.where
        for module in modules()
        if not module.is_package
        and not module.name.endswith("__main__")
        and layer_of(module.name) not in {"face", *PUBLIC_ONLY}
        and module.name not in reached
        and not any(f'"{module.name}' in text for text in texts)
    ]
    assert dead == []


def test_lazy_imports_exist_and_are_measured() -> None:
    present = {
        (i.importer, i.target) for m in modules() for i in imports_of(m, _names(modules())) if i.in_function
    }
    stale = [entry for entry in LAZY if entry not in present]
    unmeasured = [entry for entry, reason in LAZY.items() if not re.search(r"\d+ ms", reason)]
    assert (stale, unmeasured) == ([], [])


def test_examples_use_public_names_only() -> None:
    public = public_names(_names(modules()))
    paths = python_files("examples")
    examples = [parse(path, ".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in paths]
    imports = [item for module in examples for item in imports_of(module, _names(modules()))]
    found = [str(i) for i in imports if i.target.split(".")[0] == "remit" and i.target not in public]
    assert found == []


BROKEN = {
    upward: [
        ("remit.kernel.lease", "from remit.store import port"),
        ("remit.kernel.lease", "from ..store.port import Store"),
        ("remit.store.sqlite", "import remit.dispatch.local"),
        ("remit.engine.drive", "from remit import process"),
        ("remit.errors", "from remit.kernel import budget"),
        ("remit.control.app", "from remit.testing import boundaries"),
    ],
    private: [
        ("remit.integrations.otel", "from remit.engine import drive"),
        ("remit.testing.clock", "from remit.control.app import Remit"),
    ],
    impure: [
        ("remit.kernel.lease", "import time"),
        ("remit.kernel.lease", "from os.path import join"),
        ("remit.kernel.lease", "import pydantic"),
        ("remit.kernel.lease", "import datetime\nNOW = datetime.datetime.now()"),
        ("remit.kernel.lease", "TEXT = open('x').read()"),
    ],
    hidden: [
        ("remit.engine.drive", "def drive():\n    import json\n"),
        ("remit.engine.drive", "class Drive:\n    def go(self):\n        from remit.kernel import lease\n"),
        ("remit.engine.drive", "def drive():\n    return importlib.import_module('remit.cli')\n"),
    ],
}


@pytest.mark.parametrize(
    ("rule", "name", "text"), [(rule, *case) for rule, cases in BROKEN.items() for case in cases]
)
def test_a_broken_rule_is_found(tmp_path: Path, rule, name: str, text: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(textwrap.dedent(text))
    assert rule((parse(path, name),)) != []


ALLOWED = [
    ("remit.engine.drive", "from remit.kernel import lease\nfrom remit.store.port import Store"),
    ("remit.testing.faults", "from remit.store.sqlite import Writer\nfrom remit.errors import RemitError"),
    ("remit.cli.run", "from remit import Remit\nfrom remit.control.app import open_app"),
    ("remit.kernel.lease", "from datetime import timedelta\nfrom remit.errors import Rejected"),
]


@pytest.mark.parametrize(("name", "text"), ALLOWED)
def test_what_the_rules_allow_passes(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(text)
    module = parse(path, name)
    assert [finding for rule in RULES for finding in rule((module,))] == []


def test_a_cycle_is_found_with_its_path() -> None:
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}) == [["a", "b", "c", "a"]]


def test_every_room_is_in_the_design_with_what_it_says_of_itself() -> None:
    design = (ROOT / "docs" / "design.md").read_text("utf-8")
    rooms = [module for module in modules() if module.is_package and module.name.count(".") == 2]
    inner = [room for room in rooms if layer_of(room.name) in {"kernel", "engine", "workflows", "control"}]
    assert len(inner) > 10
    for room in inner:
        said = (ast.get_docstring(room.tree) or "").splitlines()[0].rstrip(".")
        assert f"| `{'/'.join(room.name.split('.')[1:])}` | {said} |" in design
