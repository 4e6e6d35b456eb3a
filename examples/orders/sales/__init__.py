"""Sales: the order itself, from its receipt to its confirmation."""

from __future__ import annotations

__all__: list[str] = []
