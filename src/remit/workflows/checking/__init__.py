"""Everything that can be known of workflows before they run, found without importing anything of theirs."""

from __future__ import annotations

__all__: list[str] = []
