"""Modules of workflow directories: each file is imported once, and each directory's own come first for its own code."""

from __future__ import annotations

import builtins
import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from remit import process
from remit.workflows.importing.functions import ImportPathError, resolve

STEPS = """
    from __future__ import annotations
    import os
    import functools
    from models import OrderState
    import models
    import {own}.models as by_full_name
    import {own}.deep.inner
    from deep import inner, also
    from .models import OrderState as Relative
    from shared import *

    def validate(state: OrderState) -> type:
        from models import OrderState as Late
        return Late

    same = (OrderState, models.OrderState, by_full_name.OrderState, Relative, inner.OrderState, {own}.deep.inner.OrderState)
    size = len("abc")
    again = validate
    made = functools.partial(validate)
    def decorated(f):
        @functools.wraps(f)
        def inside(state): return f(state)
        return inside
    wrapped = decorated(validate)
    def renamed(state): ...
    renamed = os.getcwd
    @lambda f: 3
    def three(state): ...
"""


def write(home: Path, **files: str) -> Path:
    for name, text in files.items():
        file = home / f"{name.replace('__in__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return home


@pytest.fixture
def shop(tmp_path: Path, monkeypatch) -> Path:
    """Two directories, `orders` and `returns`, with modules of the same names."""
    for name in ("orders", "returns"):
        write(
            tmp_path / name,
            steps=STEPS.format(own=name),
            models=f"from pydantic import BaseModel\nclass OrderState(BaseModel):\n    of: str = '{name}'",
            deep__in__inner="from models import OrderState\nfrom . import also\nfrom ..models import OrderState as Up",
            deep__in__also="",
            shared="__all__ = ['helper']\ndef helper(state): ...",
        )
    yield tmp_path
    for name, module in list(sys.modules.items()):
        file = vars(module).get("__file__")
        if name.partition(".")[0] in {"orders", "returns"} or (
            file is not None and Path(file).is_relative_to(tmp_path)
        ):
            del sys.modules[name]


def test_two_directories_have_modules_of_the_same_names(shop: Path) -> None:
    states = [resolve("models.OrderState", shop / name) for name in ("orders", "returns")]
    assert [state().of for state in states] == ["orders", "returns"]
    for name, state in zip(("orders", "returns"), states, strict=True):
        assert resolve("steps.validate", shop / name)(None) is state
        module = sys.modules[resolve("steps.validate", shop / name).__module__]
        assert set(module.same) == {state}
    assert not {"steps", "models", "deep", "shared"} & set(sys.modules)


def test_a_module_that_the_program_imported_is_not_imported_again(shop: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(shop)
    state = importlib.import_module("orders.models").OrderState
    assert resolve("models.OrderState", shop / "orders") is state
    assert resolve("steps.validate", shop / "orders")(None) is state


def test_what_the_program_imports_later_is_the_same_where_it_can_be_found_on_the_path(shop: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(shop)
    state = resolve("orders.models.OrderState", shop / "orders")
    assert resolve("steps.validate", shop / "orders")(None) is state
    assert importlib.import_module("orders.models").OrderState is state
    assert importlib.import_module("orders.steps").OrderState is state


def test_a_directory_on_the_path_keeps_its_plain_names_and_the_next_one_does_not_take_them(
    shop: Path, monkeypatch
) -> None:
    for name in ("returns", "orders"):
        monkeypatch.syspath_prepend(shop / name)
    states = [resolve("models.OrderState", shop / name) for name in ("returns", "orders")]
    assert [state().of for state in states] == ["returns", "orders"]
    assert importlib.import_module("models").OrderState is states[1]


def test_a_package_is_imported_before_what_is_in_it(tmp_path: Path) -> None:
    home = write(
        tmp_path / "parcel",
        __init__="from .steps import send\nloads = []",
        steps="def send(state): ...\nclass Once: ...",
    )
    once = resolve("steps.Once", home)
    assert resolve("parcel.send", home).__module__ == once.__module__
    assert resolve("steps.Once", home) is once


def test_modules_that_import_each_other_are_imported(tmp_path: Path) -> None:
    home = write(
        tmp_path / "ring",
        one="import two\ndef first(state): return two.second",
        two="import one\ndef second(state): return one.first",
    )
    first = resolve("one.first", home)
    assert first(None)(None) is first


def test_a_replaced_builtin_is_replaced_for_workflows_too(tmp_path: Path, monkeypatch) -> None:
    home = write(tmp_path / "loud", steps="def say(state): return input('?')")
    monkeypatch.setattr(builtins, "input", lambda _: "said")
    assert resolve("steps.say", home)(None) == "said"


def test_a_directory_may_be_called_like_a_module_of_the_standard_library(tmp_path: Path) -> None:
    home = write(tmp_path / "email", steps="import email.message\ndef send(state): return email.message.Message")
    assert resolve("email.steps.send", home)(None).__module__ == "email.message"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("steps.size", "holds a int"),
        ("steps.made", "holds a partial"),
        ("steps.renamed", "imports as a module"),
        ("steps.three", "neither function nor class"),
    ],
)
def test_what_is_no_function_of_the_workflows_own_is_refused(shop: Path, path: str, says: str) -> None:
    with pytest.raises(ImportPathError, match=says):
        resolve(path, shop / "orders")


@pytest.mark.parametrize("name", ["again", "wrapped", "validate", "helper"])
def test_a_function_may_be_passed_on_and_wrapped(shop: Path, name: str) -> None:
    assert callable(resolve(f"steps.{name}", shop / "orders"))


def test_a_function_made_elsewhere_is_refused_once_it_is_seen(tmp_path: Path) -> None:
    home = write(tmp_path / "sly", steps="import os\nhide = [os.path.join, os.system]\njoin, system = hide")
    with pytest.raises(ImportPathError, match=r"posixpath\.join, which is written outside"):
        resolve("steps.join", home)
    with pytest.raises(ImportPathError, match="holds a builtin_function_or_method"):
        resolve("steps.system", home)


def test_an_allowed_package_is_imported_as_python_does(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path / "allowed_shop", tools="def price(state): return 3")
    monkeypatch.syspath_prepend(tmp_path)
    home = write(tmp_path / "flows", steps="from allowed_shop.tools import price")
    for path in ("allowed_shop.tools.price", "steps.price"):
        assert resolve(path, home, ["allowed_shop"]) is importlib.import_module("allowed_shop.tools").price


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise RuntimeError('no such host')\ndef f(s): ...", "steps.py:1 raised RuntimeError: no such host"),
        ("import missing_module\ndef f(s): ...", "steps.py:1 raised ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\ndef f(s): ...", "steps.py:2 raised SystemExit"),
        ("import remit\n\nremit.Budget(tokens=-1)\ndef f(s): ...", "steps.py:3 raised"),
        ("def f(s): ...\ndel f", "no longer has once it is imported"),
    ],
)
def test_what_goes_wrong_in_an_import_is_told_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    home = write(tmp_path / "bad", steps=text)
    for _ in range(2):
        with pytest.raises(ImportPathError, match=says):
            resolve("steps.f", home)


def test_a_process_is_no_function_for_a_step(tmp_path: Path) -> None:
    home = write(
        tmp_path / "odd",
        steps="from remit import process\n@process\nasync def order(state: dict) -> dict:\n    return state",
    )
    assert process is not None
    with pytest.raises(ImportPathError, match="is a process"):
        resolve("steps.order", home)


def test_a_single_module_may_be_allowed(tmp_path: Path, monkeypatch) -> None:
    write(
        tmp_path, allowed_alone="from os import getcwd\ndef price(state): ...\nagain = [price][0]\nhere = [getcwd][0]"
    )
    monkeypatch.syspath_prepend(tmp_path)
    home = write(tmp_path / "flows", steps="")
    found = resolve("allowed_alone.again", home, ["allowed_alone"])
    assert found is resolve("allowed_alone.price", home, ["allowed_alone"])
    with pytest.raises(ImportPathError, match="builtin_function_or_method"):
        resolve("allowed_alone.here", home, ["allowed_alone"])
