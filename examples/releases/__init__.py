"""Releases: a train of services through staging and production, with the approval four levels down."""

from __future__ import annotations

__all__: list[str] = []
