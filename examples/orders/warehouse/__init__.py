"""The warehouse: goods are held for whoever asks, and given back."""

from __future__ import annotations

__all__: list[str] = []
