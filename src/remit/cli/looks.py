"""How things look: a sign and a colour for each status; amounts, moments and elapsed time as short text; tables."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from rich import box
from rich.table import Table
from rich.text import Text

from remit.control.views import Entry, Record
from remit.kernel.durations import spell
from remit.kernel.states import Status
from remit.kernel.usage import Usage

__all__ = ["age", "cost", "elapsed", "sign_of", "style_of", "table", "tokens", "took", "until"]

_STYLES = {
    Status.PENDING: ("·", "dim"),
    Status.ACTIVE: ("▶", "cyan"),
    Status.PENDING_ASYNC: ("…", "blue"),
    Status.PENDING_SUB_WORKFLOW: ("↓", "cyan"),
    Status.WAITING_HUMAN_INPUT: ("?", "bold yellow"),
    Status.WAITING_CHILD_HUMAN_INPUT: ("↓", "yellow"),
    Status.PAUSED: ("‖", "bold magenta"),
    Status.COMPLETED: ("✓", "green"),
    Status.FAILED: ("✗", "bold red"),
    Status.FAILED_CHILD_WORKFLOW: ("✗", "red"),
    Status.TIMED_OUT: ("⌛", "red"),
    Status.CANCELLED: ("-", "dim"),
}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


def sign_of(status: Status, *, live: bool = False) -> str:
    """One character; a running execution's turns while the view is live."""
    if live and status is Status.ACTIVE:
        return _SPINNER[int(time.monotonic() * 10) % len(_SPINNER)]
    return _STYLES[status][0]


def style_of(status: Status) -> str:
    """The colour of a status, as rich names it."""
    return _STYLES[status][1]


def table(titles: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    """Rows below dim titles, without a frame."""
    drawn = Table(*titles, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn


def tokens(usage: Usage) -> str:
    """Tokens with thousands separated; nothing where there are none."""
    return f"{usage.tokens:,}" if usage.tokens else ""


def cost(usage: Usage) -> str:
    """Dollars; nothing where there are none."""
    return f"${usage.cost}" if usage.cost.strip("0.") else ""


def elapsed(node: Record, now: datetime) -> str:
    """From the first start to the end, or to this moment."""
    if node.started_at is None:
        return ""
    return spell(max(0, int(((node.ended_at or now) - node.started_at).total_seconds() * 1_000)))


def took(entry: Entry) -> str:
    """How long an effect took; nothing while it is open."""
    return spell(max(0, entry.duration_ms)) if entry.duration_ms is not None else ""


def age(since: datetime) -> str:
    """How long ago."""
    return f"{spell(max(1_000, int((datetime.now(UTC) - since).total_seconds()) * 1_000)).replace('.0s', 's')} ago"


def until(due: datetime, now: datetime) -> str:
    """A moment to come, and how far off it is."""
    left = max(0, int((due - now).total_seconds() * 1_000))
    local = due.astimezone()
    clock = local.strftime("%H:%M:%S") if left < 86_400_000 else local.strftime("%Y-%m-%d %H:%M")
    return f"{clock} ({spell(left)})"
