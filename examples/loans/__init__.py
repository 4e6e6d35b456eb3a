"""Loans: an application that a manager may have to decide on, by mail, within two days."""

from __future__ import annotations

__all__: list[str] = []
