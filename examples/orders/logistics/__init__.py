"""Logistics: goods from one warehouse to the other."""

from __future__ import annotations

__all__: list[str] = []
