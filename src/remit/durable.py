"""Durable counterparts of what differs from run to run: time, chance, identifiers, events; and what comes again and again."""

from __future__ import annotations

from remit.authoring.effects import now, random, sleep, uuid4, wait_event
from remit.authoring.schedules import schedule

__all__ = ["now", "random", "schedule", "sleep", "uuid4", "wait_event"]
