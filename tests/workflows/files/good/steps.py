"""Step functions that the files of this directory name; nothing here is ever imported."""

from __future__ import annotations

from remit.workflows import StepContext


def book(state, context: StepContext, **user_input: object) -> dict:
    """Does nothing to the flow."""
    return {"booked": True}


raise AssertionError("a check imports nothing")
