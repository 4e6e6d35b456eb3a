"""How executions end: whose failure it is, what is settled, undone and tried again, and what the outside learns."""

from __future__ import annotations

__all__: list[str] = []
