"""The one evaluator: conditions and templates read into closures, worked out on plain data by a bounded amount of work (L38)."""

from __future__ import annotations

__all__: list[str] = []
