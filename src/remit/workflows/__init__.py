"""Workflows written as YAML: read, checked as a whole, and compiled to processes."""

from __future__ import annotations

__all__: list[str] = []
