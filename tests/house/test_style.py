"""Style as a test: what a file may hold, how long it may be, and what it says about itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.sources import ROOT, Module, modules, parse, python_files, text_files
from tests.house.style import bad_names, dunder_all, long_functions, marks, silent_handlers, undocumented

DIRECTORIES = ("src", "tests", "scripts", "examples", "bench")


def _everything() -> list[Module]:
    paths = [path for path in python_files(*DIRECTORIES) if not path.is_relative_to(ROOT / "src")]
    return [*modules(), *(parse(path, path.stem) for path in paths)]


@pytest.mark.parametrize("rule", [long_functions, bad_names, silent_handlers], ids=lambda rule: rule.__name__)
def test_every_python_file_keeps_the_rule(rule) -> None:
    assert [finding for module in _everything() for finding in rule(module)] == []


@pytest.mark.parametrize("rule", [dunder_all, undocumented], ids=lambda rule: rule.__name__)
def test_every_module_of_remit_keeps_the_rule(rule) -> None:
    assert [finding for module in modules() for finding in rule(module)] == []


def test_no_file_holds_a_forbidden_mark() -> None:
    """The licence aside, this reads every text file of the checkout."""
    found = [
        finding
        for path in text_files()
        if path.name != "LICENSE"
        for finding in marks(str(path.relative_to(ROOT)), path.read_text("utf-8", errors="replace"))
    ]
    assert found == []


def test_every_test_module_says_what_it_proves() -> None:
    silent = [m.where for m in _everything() if m.name.startswith("test_") and not m.text.startswith('"""')]
    assert silent == []


def test_ruff_finds_nothing() -> None:
    present = [name for name in DIRECTORIES if (ROOT / name).exists()]
    ran = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--quiet", "--output-format=concise", *present],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_package_is_typed() -> None:
    assert (ROOT / "src" / "remit" / "py.typed").is_file()


BAD = [
    (long_functions, "def f():\n" + "    x = 1\n" * 60),
    (long_functions, "x = 1\n" * 501),
    (bad_names, "class StoreManager: ..."),
    (bad_names, "class BaseStore: ..."),
    (bad_names, "class StoreImpl: ..."),
    (bad_names, "def retry_helper(): ..."),
    (dunder_all, "x = 1"),
    (dunder_all, "__all__ = ['y']\nx = 1"),
    (dunder_all, "__all__ = ['x', 'x']\nx = 1"),
    (silent_handlers, "try:\n    f()\nexcept:\n    log()"),
    (silent_handlers, "try:\n    f()\nexcept OSError:\n    pass"),
    (silent_handlers, "try:\n    f()\nexcept (OSError, Exception):\n    ..."),
    (silent_handlers, "while f():\n    try:\n        f()\n    except BaseException:\n        continue"),
    (silent_handlers, "def f():\n    try:\n        f()\n    except Exception:\n        return None"),
    (silent_handlers, "with contextlib.suppress(Exception):\n    f()"),
    (undocumented, "x = 1"),
    (undocumented, '"""Module."""\ndef f(): ...'),
    (undocumented, '"""Module."""\nclass A:\n    """A."""\n    async def go(self): ...'),
]


@pytest.mark.parametrize(("rule", "text"), BAD)
def test_what_breaks_a_rule_is_found(tmp_path: Path, rule, text: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(text)
    assert rule(parse(path, "remit.module")) != []


GOOD = '''"""Module."""

__all__ = ["Ledger"]


class Ledger:
    """A ledger."""

    def __init__(self): ...

    def _inner(self): ...

    @overload
    def spend(self, tokens): ...

    def spend(self, tokens):
        """Spend tokens."""
        try:
            charge(tokens)
        except OSError as error:
            log.warning("charge failed: %s", error)
        except KeyError:
            return 0
'''


def test_what_keeps_every_rule_passes(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(GOOD)
    module = parse(path, "remit.ledger")
    rules = [long_functions, bad_names, dunder_all, silent_handlers, undocumented]
    assert [finding for rule in rules for finding in rule(module)] == []


@pytest.mark.parametrize(
    "line",
    [
        "# TO~DO: mend",
        "raise Not~ImplementedError",
        "good enough for~ now",
        "open('/t~mp/x')",
        "cd /ro~ot/remit",
        "https://py~pi.org/simple",
        "@pytest.mark.sk~ip",
    ],
)
def test_a_mark_is_found(line: str) -> None:
    assert len(marks("file", line.replace("~", ""))) == 1


@pytest.mark.parametrize(
    "line", ["tmp_path / 'x'", "the framework/root of it", "$HOME/work/x", "a root/child pair"]
)
def test_a_plain_line_has_no_mark(line: str) -> None:
    assert marks("file", line) == []
