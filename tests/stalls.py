"""How long a loop stood still by its program's own doing (L22, L48).

Two things stop a program that it has not done itself: the machine, which may give its cores to others for a while, and the
garbage collector, whose turn grows with what thousands of other tests have left in memory. The first is watched by a
witness on each core, the second is spared what was there before.
"""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["LONGEST_STALL_S", "NOTED_S", "Machine", "no_stall", "own_stalls"]

LONGEST_STALL_S = 0.1
NOTED_S = 0.02
"""A turn of the loop that is shorter is not looked at."""

Span = tuple[float, float]
"""From when until when, by the monotonic clock, in seconds."""

_HEAD, _SPAN, _KEPT = struct.Struct("=dq"), struct.Struct("=dd"), 4_096
_WITNESS = """
import mmap, os, struct, sys, time

path, core, parent, kept = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
os.sched_setaffinity(0, {core})
head, span = struct.Struct("=dq"), struct.Struct("=dd")
with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
    count, before = 0, time.monotonic()
    while os.getppid() == parent:
        time.sleep(0.002)
        now = time.monotonic()
        if now - before > 0.006:
            span.pack_into(shared, head.size + count % kept * span.size, before + 0.002, now)
            count += 1
        head.pack_into(shared, 0, now, count)
        before = now
"""


class _Witness:
    """A program that does nothing but wake up on one core, and notes when it was late."""

    def __init__(self, path: Path, core: int) -> None:
        path.write_bytes(bytes(_HEAD.size + _KEPT * _SPAN.size))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 0)
        script = [sys.executable, "-I", "-S", "-c", _WITNESS, str(path), str(core), str(os.getpid()), str(_KEPT)]
        self._program = subprocess.Popen(script)

    def late(self, until: float) -> list[Span]:
        """When it was late, up to then; waits until it has come that far."""
        while _HEAD.unpack_from(self._shared)[0] <= until:
            assert self._program.poll() is None, "the witness of a core has ended"
            time.sleep(0.002)
        count = min(_HEAD.unpack_from(self._shared)[1], _KEPT)
        return [_SPAN.unpack_from(self._shared, _HEAD.size + place * _SPAN.size) for place in range(count)]

    def end(self) -> None:
        self._program.terminate()
        self._program.wait()
        self._shared.close()


class Machine:
    """What the machine kept from its programs."""

    def __init__(self, witnesses: list[_Witness]) -> None:
        self._witnesses = witnesses

    def kept(self, span: Span) -> float:
        """For how many seconds of the span at least one core ran nothing of what was due on it."""
        began, ended = span
        taken, reached = 0.0, began
        late = [each for witness in self._witnesses for each in witness.late(ended)]
        for since, until in sorted(late):
            end = min(until, ended)
            taken += max(end - max(since, reached), 0.0)
            reached = max(reached, end)
        return taken

    def longest(self, spans: Iterable[Span]) -> float:
        """The longest of the spans, each without what the machine kept."""
        return max((ended - began - self.kept((began, ended)) for began, ended in spans), default=0.0)


@contextmanager
def own_stalls() -> Iterator[Machine]:
    """Within it, the collector leaves alone what was there before, and each core has its witness."""
    with TemporaryDirectory() as directory, ExitStack() as stack:
        witnesses = []
        for core in sorted(os.sched_getaffinity(0)):
            witness = _Witness(Path(directory) / str(core), core)
            stack.callback(witness.end)
            witnesses.append(witness)
        for witness in witnesses:
            witness.late(time.monotonic())
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)
        yield Machine(witnesses)


async def _watch(spans: list[Span]) -> None:
    before = time.monotonic()
    while True:
        await asyncio.sleep(0.002)
        now = time.monotonic()
        if now - before > NOTED_S:
            spans.append((before, now))
        before = now


@asynccontextmanager
async def no_stall() -> AsyncIterator[None]:
    """Fails where the program lets its loop stand still for longer than LONGEST_STALL_S."""
    spans: list[Span] = []
    with own_stalls() as machine:
        watching = asyncio.create_task(_watch(spans))
        try:
            await asyncio.sleep(0.01)
            spans.clear()
            yield
            await asyncio.sleep(0.01)
        finally:
            watching.cancel()
        longest = machine.longest(spans)
    assert longest < LONGEST_STALL_S, f"the loop stood still for {longest:.3f} s"
