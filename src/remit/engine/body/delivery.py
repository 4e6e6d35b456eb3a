"""In which order a body sees completions: the same, live and in replay (L11).

While only one branch runs there is nothing to order. With several, completions are handed over in groups: all that
gathered, in order, then nothing for a few turns of the loop, so that the branches have reacted before the next group comes.
The group and place are recorded, and replay hands over the same groups.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from remit.engine.body.run import Run

__all__ = ["GROUP_SHIFT", "Completion", "Delivery"]

_SPACING_TURNS = 8
GROUP_SHIFT = 20
"""A place in the order of completion: the number of a group, and in so many low bits the place in it."""


class Completion(Protocol):
    """Something that has happened and that branches may wait for."""

    def place(self, order: int) -> None:
        """Record the place in the order of completion."""

    def resolve(self) -> None:
        """Let those go on who wait."""


class Delivery:
    """The queue between what completes and the branches of one run."""

    __slots__ = ("_arrived", "_claimed", "_group", "_in_group", "_queue", "_recorded", "_run", "_spacing")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._queue: list[Completion] = []
        self._recorded: deque[list[int]] | None = None
        self._arrived: dict[int, int] = {}
        self._claimed: dict[int, Completion | None] = {}
        self._group = 1
        self._in_group = 0
        self._spacing = 0

    def expect(self, orders: Iterable[int]) -> None:
        """The places recorded earlier; live completions come after all of them."""
        groups = [list(members) for _, members in groupby(sorted(orders), key=lambda order: order >> GROUP_SHIFT)]
        if groups:
            self._recorded = deque(groups)
            self._group = (groups[-1][0] >> GROUP_SHIFT) + 1

    def close(self) -> None:
        """The run is over: nothing is handed over any more."""
        self._run = None  # type: ignore[assignment]  # a closed delivery is asked nothing but to stop spacing
        self._queue.clear()
        self._recorded = None

    @property
    def owing(self) -> bool:
        """Whether something is still to be handed over."""
        return bool(self._queue or self._recorded or self._spacing)

    @property
    def live(self) -> bool:
        """Whether something is about to be handed over: live from the queue, recorded with its group, or after a spacing."""
        return bool(self._spacing or (self._queue and not self._recorded) or self._next_has_come())

    def _next_has_come(self) -> bool:
        """Whether a branch has come for each member of the next recorded group."""
        if not self._recorded:
            return False
        members = self._recorded[0]
        return self._arrived.get(members[0] >> GROUP_SHIFT, 0) >= len(members)

    @property
    def held_back(self) -> int:
        """How many live completions wait behind recorded ones."""
        return len(self._queue) if self._recorded else 0

    def replay(self, order: int, completion: Completion) -> bool:
        """A branch has come to a recorded completion; True where it may have it at once."""
        at_once = self._run.single and not self._spacing
        group = order >> GROUP_SHIFT
        self._claimed[order] = None if at_once else completion
        self._arrived[group] = self._arrived.get(group, 0) + 1
        if at_once:
            self._replay_group()
        elif not self._spacing:
            # Not at once: the branch that came last must go on after the others of its group, as it did when it was live.
            self._run.loop.call_soon(self._replay_group)
        return at_once

    def _replay_group(self) -> None:
        """Hand the next recorded group over once a branch has come for each of its members."""
        while self._recorded and not self._spacing and not self._run.stopped and self._next_has_come():
            members = self._recorded[0]
            self._recorded.popleft()
            waiting = [completion for completion in map(self._claimed.pop, members) if completion is not None]
            for completion in waiting:
                completion.resolve()
            if waiting:
                self._run.progressed()
                self._space()

    def alone(self) -> int | None:
        """The place of a completion that just happened in the only branch; None where it must wait for its turn."""
        if self._queue or self._spacing or not self._run.single or not self._run.take_slot():
            return None
        if self._recorded and any(self._claimed.values()):
            return None
        self._group += 1
        return self._group - 1 << GROUP_SHIFT

    def complete(self, completion: Completion) -> None:
        """Something happened live: hand it over at once where one branch runs, else with its group."""
        order = self.alone()
        if order is not None:
            completion.place(order)
            completion.resolve()
            return
        completion.place(self._group << GROUP_SHIFT | self._in_group)
        self._in_group += 1
        self._queue.append(completion)
        # In the same event as what has happened: an owner that ends before the group is handed over leaves no sleeper.
        self._run.take_slot()
        if self._recorded:
            self._run.progressed()
        if not self._spacing:
            self._run.loop.call_soon(self.drain)

    def withdraw(self, completion: Completion) -> None:
        """Nobody waits for it any more."""
        if completion in self._queue:
            self._queue.remove(completion)

    def drain(self) -> None:
        """Hand over the group that has gathered, once the execution has a slot."""
        if self._spacing or self._recorded or not self._queue or self._run.stopped or not self._run.take_slot():
            return
        queue, self._queue = self._queue, []
        self._group += 1
        self._in_group = 0
        for completion in queue:
            completion.resolve()
        self._space()

    def _space(self) -> None:
        self._spacing = _SPACING_TURNS
        self._run.loop.call_soon(self._spaced)

    def _spaced(self) -> None:
        self._spacing -= 1
        if self._run is None or self._run.stopped:
            return
        if self._spacing:
            self._run.loop.call_soon(self._spaced)
        elif self._recorded:
            self._replay_group()
        elif self._queue:
            self.drain()
        else:
            self._run.progressed()
