"""HTTP steps: requests read and filled in, judged addresses, one priced tool call."""

from __future__ import annotations

__all__: list[str] = []
