"""The documentation's drawings, made from the kernel's tables and from the list of attempts in the tests.

A region of a page between `<!-- drawn: NAME -->` and `<!-- end -->` belongs to this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from remit.kernel.saga import COMPENSATIONS
from remit.kernel.states import OPEN, PROPAGATION, TERMINAL, TRANSITIONS, Status

__all__ = ["DRAWINGS", "GROUPS", "Edge", "compensations", "edges", "propagation", "redraw", "states"]

REGION = re.compile(r"(<!-- drawn: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

# Drawn as one box each, largest first: what leaves every member leaves the box.
GROUPS: dict[str, frozenset[Status]] = {
    "Open": OPEN,
    "Parked": OPEN - {Status.PENDING, Status.ACTIVE, Status.PAUSED},
    "Failed": TERMINAL - {Status.COMPLETED},
}
TITLES = {"Open": "open", "Parked": "parked", "Failed": "ended without a result"}


@dataclass(frozen=True)
class Edge:
    """One arrow: from a status or a group, to a status or a group, with its cause."""

    before: str
    after: str
    cause: str

    def expanded(self) -> set[tuple[Status, Status, str]]:
        """The transitions that this arrow stands for; none leads from a status to itself."""
        befores, afters = _members(self.before), _members(self.after)
        return {(a, b, self.cause) for a in befores for b in afters if a is not b}


def _drawable(arrow: Edge) -> bool:
    """Mermaid lays out no arrow between a box and what is inside it; a box's own changes are in its title."""
    befores, afters = _members(arrow.before), _members(arrow.after)
    return arrow.before == arrow.after or not (befores & afters)


def _members(name: str) -> frozenset[Status]:
    return GROUPS[name] if name in GROUPS else frozenset({Status(name)})


def edges() -> list[Edge]:
    """The table's transitions in the fewest arrows, in the table's order of causes."""
    found = []
    boxes = [*GROUPS, *Status]
    for cause in dict.fromkeys(t.cause for t in TRANSITIONS):
        left = {tuple(t) for t in TRANSITIONS if t.cause == cause}
        arrows = [Edge(str(before), str(after), cause) for before in boxes for after in boxes]
        for arrow in sorted(arrows, key=lambda arrow: -len(arrow.expanded())):
            if arrow.expanded() and arrow.expanded() <= left and _drawable(arrow):
                found.append(arrow)
                left -= arrow.expanded()
    return found


def states() -> str:
    """The life of an execution as a Mermaid state diagram."""
    arrows = "\n".join(f"    {e.before} --> {e.after}: {e.cause}" for e in edges() if e.before != e.after)
    return f"""```mermaid
stateDiagram-v2
    state "{_title("Open")}" as Open {{
{_lines(GROUPS["Open"] - GROUPS["Parked"])}
        state "{_title("Parked")}" as Parked {{
{_lines(GROUPS["Parked"])}
        }}
    }}
    state "{_title("Failed")}" as Failed {{
{_lines(GROUPS["Failed"])}
    }}
    [*] --> PENDING: admitted
{arrows}
    COMPLETED --> [*]
```
"""


def _lines(statuses: frozenset[Status]) -> str:
    return "\n".join(f"        {status}" for status in Status if status in statuses)


def _title(group: str) -> str:
    inside = [edge.cause for edge in edges() if edge.before == edge.after == group]
    return "; from one to another: ".join([TITLES[group], *inside])


def propagation() -> str:
    """What an awaited child's status makes of its parent's, as a Markdown table."""
    rows = "".join(f"| {child} | {parent} |\n" for child, parent in PROPAGATION.items())
    return f"| An awaited child is | its parent shows |\n| --- | --- |\n{rows}"


def compensations() -> str:
    """How an execution's `compensation` changes, as a Markdown table."""
    rows = "".join(f"| {before} | {after} | {cause} |\n" for before, after, cause in COMPENSATIONS)
    return f"| From | to | when |\n| --- | --- | --- |\n{rows}"


def attempts() -> str:
    """What was tried to get around the guards, as a Markdown table."""
    return str(import_module("tests.attempts.listed").table())  # tests, which stand beside this directory


DRAWINGS: dict[str, Callable[[], str]] = {
    "states": states,
    "propagation": propagation,
    "compensations": compensations,
    "attempts": attempts,
}


def redraw(page: str) -> str:
    """The page with each drawn region made anew; an unknown name raises KeyError."""
    return REGION.sub(lambda match: f"{match[1]}{DRAWINGS[match['name']]()}{match[3]}", page)
