"""What runs apart from the engine's loop, in threads and in processes of its own, and the watchdog over what runs on it."""

from __future__ import annotations

__all__: list[str] = []
