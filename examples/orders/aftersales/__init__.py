"""After sales: what comes back, and what goes out instead."""

from __future__ import annotations

__all__: list[str] = []
