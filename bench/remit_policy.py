"""What policies add to a governed call, timed around the engine's own functions: everything that is asked of them.

The input and the result have 1 KB each. In force are a rate limit, two rules, four detectors and a pattern of one's own, on
inputs and results. What a call pays is the sum of: looking through its input ahead, judging the call, taking of the rate,
looking through its result ahead and judging it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import arguments, percentile, report, scratch
from pydantic import BaseModel
from work import PATIENCE

from remit import Remit, call_process, process
from remit.engine import calls
from remit.engine.body import driver
from remit.engine.ending import endings
from remit.engine.governing import judgement

POLICY = r"""
policy: measured
version: 1.0.0
applies_to: {process: handle}
limits: {ttl: 10m, depth: 4, attempts: 2}
rate_limit: {calls: 1000000, per: 1s, by: tenant}
rules:
  - {name: eu, require: "call.region == 'eu' or 'pii' not in call.tags"}
  - {name: small, require: "call.depth <= 3 and call.caller != 'intruder'"}
filters:
  - {on: [input, result], find: [email, card, iban, secrets], action: block}
  - {name: staff, on: [input, result], pattern: '\bEMP-[0-9]{5}\b', action: redact}
"""


class Line(BaseModel):
    sku: str
    quantity: int
    price: str


class Parcel(BaseModel):
    customer: str
    street: str
    notes: str
    lines: list[Line]


PARCEL = Parcel(
    customer="Northwind Traders & Co",
    street="12 Harbour Lane",
    notes="Deliver to the ramp behind the hall; ring twice. " * 8,
    lines=[Line(sku=f"SKU-{number}", quantity=number, price="12.50") for number in range(11)],
)


@process("handle", tags=["pii"])
async def handle(parcel: Parcel) -> Parcel:
    return parcel


@process("spread", calls=[handle])
async def spread(count: int) -> int:
    outcomes = await asyncio.gather(*(call_process(handle, PARCEL) for _ in range(count)))
    return sum(outcome.ok for outcome in outcomes)


class Stopwatch:
    """Times, in microseconds, of each thing that policies are asked."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        times = self.times[name] = []

        def timed(*given: Any) -> Any:
            start = time.perf_counter_ns()
            answer = function(*given)
            times.append((time.perf_counter_ns() - start) / 1e3)
            return answer

        return timed

    def median(self, name: str) -> float:
        return statistics.median(self.times[name])


async def measure(path: Path, count: int) -> dict[str, float]:
    watch = Stopwatch()
    async with Remit(f"sqlite:///{path}", processes=[handle, spread]) as app:
        await app.apply_policy(POLICY)
        await _run(app, min(count, 200))
        calls.is_looked_through = watch.around("before the call", calls.is_looked_through)
        calls._judged = watch.around("call", calls._judged)
        driver.takes_long = watch.around("before the result", driver.takes_long)
        endings.judge_result = watch.around("result", endings.judge_result)
        judgement.Judged.take = watch.around("take", judgement.Judged.take)  # type: ignore[method-assign]
        await _run(app, count)
    sums = [sum(parts) for parts in zip(*(times[:count] for times in watch.times.values()), strict=True)]
    return {
        "policy_us": statistics.median(sums),
        "policy_p99_us": percentile(sums, 0.99),
        "call_us": watch.median("before the call") + watch.median("call"),
        "take_us": watch.median("take"),
        "result_us": watch.median("before the result") + watch.median("result"),
        "payload_bytes": len(PARCEL.model_dump_json()),
    }


async def _run(app: Remit, count: int) -> None:
    outcome = await (await app.start(spread, count, tenant="acme", region="eu")).outcome(timeout=PATIENCE)
    if outcome.unwrap() != count:
        raise RuntimeError(f"{outcome.value} of {count} calls passed")


def main() -> None:
    options = arguments(__doc__, count=1000)
    with scratch() as folder:
        report(**asyncio.run(measure(folder / "remit.db", options.count)))


if __name__ == "__main__":
    main()
