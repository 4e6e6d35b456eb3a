"""Published versions: publishing, promoting and taking back, what must be shown first, and who hears of it."""

from __future__ import annotations

__all__: list[str] = []
