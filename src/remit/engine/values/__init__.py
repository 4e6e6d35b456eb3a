"""Values on their way: types at every boundary, JSON, where two differ, what must not be shown."""

from __future__ import annotations

__all__: list[str] = []
