"""Which version a call gets, how a new one is tried, and how it is taken back (L40, L42)."""

from __future__ import annotations

__all__: list[str] = []
