"""Time: the clock, what is due when, leases and schedules (L21, L54)."""

from __future__ import annotations

__all__: list[str] = []
