"""Time as the engine sees it: the wall clock once, at the start, and a monotonic clock from then on (L21)."""

from __future__ import annotations

import time

__all__ = ["Clock"]


class Clock:
    """Milliseconds since 1970 that never jump while the process lives, whatever the wall clock does."""

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int((time.monotonic() + self._offset) * 1_000)
