"""Durable counterparts of what differs from run to run: time, chance, identifiers, events."""

from __future__ import annotations

from remit.authoring.effects import now, random, sleep, uuid4, wait_event

__all__ = ["now", "random", "sleep", "uuid4", "wait_event"]
