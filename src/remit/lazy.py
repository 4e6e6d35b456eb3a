"""Names of a package that are loaded when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package; `homes` has modules, each with the names it is the home of.

    Assign them where type checkers do not look: they take a module that has a `__getattr__` to have every name.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}
    module = sys.modules[package]

    def load(name: str) -> Any:
        if name not in home_of:
            names = ", ".join(module.__all__)
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has: {names}")
        value = getattr(import_module(home_of[name]), name)
        setattr(module, name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(module), *module.__all__})

    return load, names
