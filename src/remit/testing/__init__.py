"""What Remit's promises are tested with, open to its users."""

from __future__ import annotations

from remit.store import boundaries as _boundaries
from remit.testing.faults import kill as _kill

__all__ = ["boundaries"]

_boundaries.reach = _kill.reach


def boundaries() -> dict[str, str]:
    """The named instants at which a crash must be harmless, each with what holds there.

    `REMIT_KILL_AT=<boundary>[:<nth>]` kills a process that imports this module at one of them.
    """
    return dict(_boundaries.BOUNDARIES)
