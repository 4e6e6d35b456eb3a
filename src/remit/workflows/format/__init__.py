"""What a workflow file says: read with places, put into frozen models, every deviation a finding."""

from __future__ import annotations

__all__: list[str] = []
