"""Shipping: who takes the parcels to the airport, and for how much."""

from __future__ import annotations

__all__: list[str] = []
