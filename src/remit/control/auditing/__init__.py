"""The audit log as people read, export and verify it, and the acts and readings that go into it (L49)."""

from __future__ import annotations

__all__: list[str] = []
