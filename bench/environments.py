"""One virtual environment per contender, made anew when its pins or this checkout change."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

__all__ = ["ENVIRONMENTS", "python_of"]

BENCH = Path(__file__).resolve().parent
CHECKOUT = BENCH.parent
ENVIRONMENTS = BENCH / ".envs"


def python_of(contender: str) -> Path:
    """The interpreter of a contender ("remit", "dbos", "langgraph"), all that it needs installed."""
    home = ENVIRONMENTS / contender
    pins = BENCH / f"requirements-{contender}.txt"
    python, stamp = home / "bin" / "python", home / "installed-from"
    if _differs(stamp, [pins]):
        print(f"installing {contender} into {home.relative_to(CHECKOUT)}", file=sys.stderr)
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        _pip(python, "--requirement", str(pins))
        stamp.write_text(_digest([pins]))
    if contender == "remit":
        _install_checkout(python, home / "checkout-from")
    return python


def _install_checkout(python: Path, stamp: Path) -> None:
    found = sorted(path for path in (CHECKOUT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc")
    sources = [CHECKOUT / "pyproject.toml", *found]
    if _differs(stamp, sources):
        _pip(python, "--no-deps", "--no-build-isolation", "--force-reinstall", str(CHECKOUT))
        stamp.write_text(_digest(sources))


def _pip(python: Path, *arguments: str) -> None:
    options = ["--quiet", "--quiet", "--disable-pip-version-check"]
    subprocess.run([str(python), "-m", "pip", "install", *options, *arguments], check=True)


def _differs(stamp: Path, sources: Iterable[Path]) -> bool:
    return not stamp.exists() or stamp.read_text() != _digest(sources)


def _digest(sources: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()
