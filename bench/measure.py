"""What every workload shares: arguments, a store of its own, statistics, one JSON line as the answer.

Standard library only: the same file runs in each rival's environment.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["STORES", "arguments", "percentile", "report", "scratch", "timings"]

# Stores live inside the checkout and not in the system's temporary folder, which may be in memory,
# where a sync costs nothing.
STORES = Path(__file__).resolve().parent / ".envs" / "stores"


def arguments(description: str | None, **defaults: float | str) -> argparse.Namespace:
    """One `--option` per default, of the default's type."""
    parser = argparse.ArgumentParser(description=description)
    for name, default in defaults.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    return parser.parse_args()


@contextmanager
def scratch() -> Iterator[Path]:
    """A new directory on the disk that holds the checkout, removed afterwards."""
    STORES.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=STORES))
    try:
        yield path
    finally:
        shutil.rmtree(path)


async def timings(work: Callable[[], Awaitable[None]], seconds: float, least: int = 3) -> list[float]:
    """Seconds of each run of `work`, repeated for about `seconds` and at least `least` times."""
    durations: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(durations) < least or time.perf_counter() < deadline:
        start = time.perf_counter()
        await work()
        durations.append(time.perf_counter() - start)
    return durations


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def report(**figures: object) -> None:
    """Print the workload's answer; `bench/run` reads the last line."""
    print(json.dumps(figures))


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
