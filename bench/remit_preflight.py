"""What a governed call's admission takes, timed around the engine's own functions, without child or disk.

Pre-flight is all that comes before the decision: target and version are resolved, the input is validated,
encoded and digested, the facts are gathered and the checks of L7 run. The whole admission goes on to create
the child. Timed twice: in a fan-out, and where every call comes fresh from a disk sync, its caches cold.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

from measure import arguments, percentile, report, scratch
from work import all_at_once, one_after_another, opened, run

from remit.engine import calls


class Stopwatch:
    """Times, in microseconds, of each call's checks, of its pre-flight and of its whole admission."""

    def __init__(self) -> None:
        self._placed_at = 0
        self._place, self._preflight = calls._place, calls.preflight
        self.restart()

    def restart(self) -> None:
        self.checks: list[float] = []
        self.preflights: list[float] = []
        self.admissions: list[float] = []

    def medians(self, prefix: str) -> dict[str, float]:
        return {
            f"{prefix}preflight_us": statistics.median(self.preflights),
            f"{prefix}preflight_p99_us": percentile(self.preflights, 0.99),
            f"{prefix}checks_us": statistics.median(self.checks),
            f"{prefix}admission_us": statistics.median(self.admissions),
        }

    def install(self) -> None:
        calls._place, calls.preflight = self._timed_place, self._timed_preflight  # type: ignore[assignment]

    async def _timed_place(self, *arguments: Any, **named: Any) -> Any:
        self._placed_at = time.perf_counter_ns()
        placed = await self._place(*arguments, **named)
        self.admissions.append((time.perf_counter_ns() - self._placed_at) / 1e3)
        return placed

    def _timed_preflight(self, facts: Any) -> Any:
        start = time.perf_counter_ns()
        rejection = self._preflight(facts)
        end = time.perf_counter_ns()
        self.checks.append((end - start) / 1e3)
        self.preflights.append((end - self._placed_at) / 1e3)
        return rejection


async def measure(path: Path, count: int) -> dict[str, float]:
    stopwatch = Stopwatch()
    figures: dict[str, float] = {}
    async with opened(path) as app:
        await run(app, one_after_another, min(count, 200))
        stopwatch.install()
        for prefix, parent in (("", all_at_once), ("cold_", one_after_another)):
            stopwatch.restart()
            await run(app, parent, count)
            figures |= stopwatch.medians(prefix)
    return figures


def main() -> None:
    options = arguments(__doc__, count=1000)
    with scratch() as folder:
        report(**asyncio.run(measure(folder / "remit.db", options.count)))


if __name__ == "__main__":
    main()
