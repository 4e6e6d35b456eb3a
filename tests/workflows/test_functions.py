"""Import paths: what they name is found without importing anything, and nothing outside is named."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.workflows.importing.functions import ImportPathError, locate

STEPS = """
    raise RuntimeError("checked, and never imported")
    import os
    import functools
    from os import system, path as where
    from models import OrderState
    from .helpers import tidy
    from shop_tools import price
    from unknown_package import something
    from more import *

    def validate(state): ...
    async def charge(state, context): ...

    class Orders:
        class State: ...
        @staticmethod
        def ship(state): ...

    validate_again = validate
    ship = Orders.ship
    run = os.system
    listing = print
    made = functools.partial(validate, 1)
    try:
        from fast import compute
    except ImportError:
        def compute(state): ...
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch) -> Path:
    """`shop/orders`, with modules of its own beside an allowed package and things outside."""
    home = tmp_path / "shop" / "orders"
    files = {
        home / "steps.py": STEPS,
        home / "models.py": "class OrderState: ...",
        home / "helpers.py": "def tidy(state): ...\nclass _Private: ...",
        home / "more.py": "def extra(state): ...",
        home / "tasks" / "payment.py": "def pay(state): ...",
        home / "parts" / "__init__.py": "from .inner import act",
        home / "parts" / "inner.py": "def act(state): ...",
        home / "broken.py": "def validate(state:\n",
        home / "around.py": "from back import f",
        home / "back.py": "from around import f",
        home.parent / "outside.py": "def secret(state): ...",
        tmp_path / "packages" / "shop_tools" / "__init__.py": "from os import getcwd\ndef price(state): ...",
        tmp_path / "packages" / "shop_tools" / "deep.py": "from . import price\nfrom .. import nothing",
    }
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    (home / "linked.py").symlink_to(home.parent / "outside.py")
    (home / "linked_package").symlink_to(home.parent, target_is_directory=True)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    return home


@pytest.mark.parametrize(
    ("path", "file", "line"),
    [
        ("steps.validate", "steps.py", 12),
        ("steps:validate", "steps.py", 12),
        ("orders.steps.validate", "steps.py", 12),
        ("shop.orders.steps.charge", "steps.py", 13),
        ("steps.validate_again", "steps.py", 12),
        ("steps.Orders.ship", "steps.py", 18),
        ("steps.ship", "steps.py", 18),
        ("steps.Orders.State", "steps.py", 16),
        ("steps.OrderState", "models.py", 1),
        ("steps.tidy", "helpers.py", 1),
        ("steps.extra", "more.py", 1),
        ("steps.compute", "steps.py", 28),
        ("tasks.payment.pay", "tasks/payment.py", 1),
        ("parts.act", "parts/inner.py", 1),
        ("helpers._Private", "helpers.py", 2),
    ],
)
def test_a_path_leads_to_where_its_name_is_written(directory: Path, path: str, file: str, line: int) -> None:
    found = locate(path, directory)
    assert (found.defined_in, found.node.lineno) == (directory / file, line)


def test_an_allowed_package_is_reached_itself_and_through_a_module_that_imports_from_it(directory: Path) -> None:
    package = directory.parents[1] / "packages" / "shop_tools" / "__init__.py"
    for path in ("steps.price", "shop_tools.price", "shop_tools.deep.price"):
        assert locate(path, directory, ["shop_tools"]).defined_in == package
        with pytest.raises(ImportPathError, match="allowed package"):
            locate(path, directory, ["shop_tool", "shop"])


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("os.system", "no module in the workflow's own directory"),
        ("subprocess.run", "no module in the workflow's own directory"),
        ("builtins.eval", "no module in the workflow's own directory"),
        ("steps.os.system", "imports as a module"),
        ("steps.system", "imports from os"),
        ("steps.where.join", "imports from os"),
        ("steps.run", "imports as a module"),
        ("steps.listing", "names nothing that steps.py defines"),
        ("steps.something", "unknown_package"),
        ("steps.functools.partial", "imports as a module"),
        ("steps.made.func", "is no class"),
        ("steps.validate.__globals__", "two underscores"),
        ("steps.__builtins__.eval", "two underscores"),
        ("steps.Orders.missing", "names nothing that is written in 'Orders'"),
        ("..outside.secret", "is no import path"),
        ("../outside.secret", "is no import path"),
        (".outside.secret", "is no import path"),
        ("outside.secret", "no module in the workflow's own directory"),
        ("linked.secret", "symbolic link"),
        ("linked_package.outside.secret", "symbolic link"),
        ("shop.outside.secret", "no module in the workflow's own directory"),
        ("validate", "is no import path"),
        ("a." * 100_000 + "b", "is too long"),
        ("steps." + "v" * 300, "is too long"),
        ("v" * 300 + ".validate", "is too long"),
        ("ä" * 150 + ".validate", "is too long"),
        ("", "is no import path"),
        ("steps.", "is no import path"),
        ("steps.class", "is no import path"),
        ("steps.validate()", "is no import path"),
        ("broken.validate", "line 1 is no Python"),
        ("around.f", "without end"),
        ("parts.inner", "names nothing that __init__.py defines"),
    ],
)
def test_what_lies_elsewhere_is_refused(directory: Path, path: str, says: str) -> None:
    with pytest.raises(ImportPathError, match=says):
        locate(path, directory)


def test_what_an_allowed_package_has_imported_is_not_reached_through_it(directory: Path) -> None:
    with pytest.raises(ImportPathError, match="imports from os"):
        locate("shop_tools.getcwd", directory, ["shop_tools"])


@pytest.mark.parametrize(
    ("path", "instead"),
    [("steps.valdate", "steps.validate"), ("step.validate", "steps.validate"), ("helpers.tody", "helpers.tidy")],
)
def test_a_name_that_is_nearly_right_is_suggested(directory: Path, path: str, instead: str) -> None:
    with pytest.raises(ImportPathError) as raised:
        locate(path, directory)
    assert raised.value.suggestion == instead
    assert instead in str(raised.value)


def test_nothing_is_imported(directory: Path) -> None:
    before = set(sys.modules)
    locate("shop_tools.deep.price", directory, ["shop_tools"])
    locate("steps.validate", directory)
    assert set(sys.modules) == before


def test_an_edited_file_is_read_again(directory: Path) -> None:
    with pytest.raises(ImportPathError):
        locate("helpers.fresh", directory)
    (directory / "helpers.py").write_text("def fresh(state): ...")
    assert locate("helpers.fresh", directory).line == 1


NAMES = st.sampled_from(
    [
        "steps",
        "models",
        "parts",
        "inner",
        "act",
        "os",
        "system",
        "validate",
        "orders",
        "shop",
        "linked",
        "outside",
        "secret",
    ]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=100)
@given(st.one_of(st.text(max_size=40), st.lists(NAMES, min_size=1, max_size=6).map(".".join)))
def test_whatever_is_asked_for_it_lies_below_the_directory_or_is_refused(directory: Path, path: str) -> None:
    try:
        found = locate(path, directory)
    except ImportPathError as error:
        assert str(error)  # noqa: PT017  # either outcome is one that the test is about
    else:
        assert found.defined_in.resolve().is_relative_to(directory)
