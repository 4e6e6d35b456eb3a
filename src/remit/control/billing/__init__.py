"""Whose work it is and what it cost: departments, tenants, budgets, bills (L31, L45)."""

from __future__ import annotations

__all__: list[str] = []
