"""Payments: credit, the payment provider, the receivables."""

from __future__ import annotations

__all__: list[str] = []
