"""Whether what another version of a contract allows still fits: JSON Schemas compared, with findings (L41)."""

from __future__ import annotations

__all__: list[str] = []
