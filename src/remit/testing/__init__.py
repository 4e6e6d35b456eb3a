"""What workflows are tested with: an app with a clock of its own and fakes, assertions, replay; and faults on purpose.

The names below are loaded when they are first used: pytest imports this package wherever remit is installed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from remit.lazy import lazy_names
from remit.store import boundaries as _boundaries

if TYPE_CHECKING:
    from remit.testing.calls import Called, Made, assert_called, assert_not_called
    from remit.testing.clock import VirtualClock
    from remit.testing.comparison import differences
    from remit.testing.fakes import after, hangs, in_turn
    from remit.testing.harness import TestApp
    from remit.testing.history import export_history
    from remit.testing.lineage import assert_lineage, lineage_text
    from remit.testing.passage import Stuck
    from remit.testing.plugin import Apps
    from remit.testing.replaying import HistoryMismatch, Replayed, replay
    from remit.testing.scripts import Awaited
    from remit.testing.trees import assert_tree, tree_text

__all__ = [
    "Apps",
    "Awaited",
    "Called",
    "HistoryMismatch",
    "Made",
    "Replayed",
    "Stuck",
    "TestApp",
    "VirtualClock",
    "after",
    "assert_called",
    "assert_lineage",
    "assert_not_called",
    "assert_tree",
    "boundaries",
    "differences",
    "export_history",
    "hangs",
    "in_turn",
    "lineage_text",
    "replay",
    "tree_text",
]

_HOMES = {
    "remit.testing.calls": "Called Made assert_called assert_not_called",
    "remit.testing.clock": "VirtualClock",
    "remit.testing.comparison": "differences",
    "remit.testing.fakes": "after hangs in_turn",
    "remit.testing.harness": "TestApp",
    "remit.testing.history": "export_history",
    "remit.testing.lineage": "assert_lineage lineage_text",
    "remit.testing.passage": "Stuck",
    "remit.testing.plugin": "Apps",
    "remit.testing.replaying": "HistoryMismatch Replayed replay",
    "remit.testing.scripts": "Awaited",
    "remit.testing.trees": "assert_tree tree_text",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)

if os.environ.get("REMIT_KILL_AT"):
    from remit.testing.faults import kill as _kill

    _boundaries.reach = _kill.reach


def boundaries() -> dict[str, str]:
    """The named instants at which a crash must be harmless, each with what holds there.

    `REMIT_KILL_AT=<boundary>[:<nth>]` kills a process that imports this module at one of them.
    """
    return dict(_boundaries.BOUNDARIES)
