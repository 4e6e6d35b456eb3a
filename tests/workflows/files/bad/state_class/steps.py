from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict


class Plain:
    order_id: str


class Typed(TypedDict):
    order_id: str


@dataclass
class Data:
    order_id: str


def look(state: Any) -> None:
    return None
