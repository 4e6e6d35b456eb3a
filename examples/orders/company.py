"""The company as one program sees it: who is hosted, what they work with, and the world outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .key_accounts import reservation
from .outside import Outside, outside
from .shop import Shop

__all__ = ["DEPARTMENTS", "Company", "company"]

_HERE = Path(__file__).parent
DEPARTMENTS = tuple(
    _HERE / each for each in ("sales", "warehouse", "pricing", "payments", "shipping", "aftersales", "logistics")
)
"""A directory of workflows for each; key accounts write theirs in Python."""


@dataclass(frozen=True, slots=True)
class Company:
    """The shop and the world around it, while they are open."""

    shop: Shop
    world: Outside

    def terms(self) -> dict[str, Any]:
        """What a Remit is given that runs the company's workflows."""
        return {
            "processes": [*DEPARTMENTS, reservation],
            "http_hosts": [self.world.host],
            "env": ["PAYMENTS_URL"],
            "secrets": {"PAYMENTS_TOKEN": self.world.token},
            "resources": self.shop,
        }


@contextmanager
def company(folder: Path) -> Iterator[Company]:
    """The company whose books lie in a folder, begun there where there are none."""
    with outside(folder / "provider.db") as world:
        shop = Shop(folder / "shop.db", world.url, world.token)
        shop.open()
        os.environ["PAYMENTS_URL"] = world.url  # as an operator sets it: workflows know the variable, not the address
        yield Company(shop, world)
