"""Payables: a folder of UBL 2.1 e-invoices becomes one ISO 20022 pain.001 payment file."""

from __future__ import annotations

__all__: list[str] = []
