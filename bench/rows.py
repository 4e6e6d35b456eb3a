"""The table: each row's figure, the bar it must hold, and whether it does."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

__all__ = ["ROWS", "Rounds", "Row", "table"]

Rounds = Mapping[str, list[dict[str, float]]]
"""Workload → what it answered, round after round."""


@dataclass(frozen=True)
class Row:
    """One line of the table. `held` is None where nothing is promised."""

    name: str
    figure: str = ""
    target: str = ""
    held: bool | None = None
    group: str = ""

    @property
    def verdict(self) -> str:
        return {None: "", True: "ok", False: "MISS"}[self.held]


def middle(rounds: Rounds, workload: str, key: str) -> float:
    """The median over the rounds."""
    return statistics.median(answer[key] for answer in rounds[workload])


def ratio(rounds: Rounds, over: tuple[str, str], under: tuple[str, str]) -> float:
    """The median of each round's own ratio: what slowed a round slowed both of its sides."""
    pairs = zip(rounds[over[0]], rounds[under[0]], strict=True)
    return statistics.median(a[over[1]] / b[under[1]] for a, b in pairs)


def sequential(rounds: Rounds) -> list[Row]:
    each = middle(rounds, "remit sequential", "ms_per_child")
    syncs = max(answer["syncs_per_child"] for answer in rounds["remit sequential"])
    rows = [Row("sequential child, one durable step", f"{each:.3f} ms")]
    for rival, label, bar in (("dbos", "DBOS", 10), ("langgraph", "LangGraph", None)):
        name = f"{rival} sequential"
        if name in rounds:
            times = ratio(rounds, (name, "ms_per_child"), ("remit sequential", "ms_per_child"))
            figure = f"{middle(rounds, name, 'ms_per_child'):.2f} ms, {times:.1f} x Remit's"
            rows.append(
                Row(f"  {label}", figure, f">= {bar} x" if bar else "", times >= bar if bar else None)
            )
    bare = middle(rounds, "remit bare commits", "ms_per_commit")
    rows.append(Row("  a bare commit", f"{bare:.3f} ms"))
    rows.append(Row("  syncs per child", f"{syncs:.3f}", "1", abs(syncs - 1) < 0.01))
    return rows


def fanout(rounds: Rounds) -> list[Row]:
    rate = middle(rounds, "remit fanout", "children_per_s")
    rows = [Row("fan-out of 1,000 children", f"{rate:,.0f}/s")]
    for rival, label, bar in (("dbos", "DBOS", 40), ("langgraph", "LangGraph", None)):
        name = f"{rival} fanout"
        if name in rounds:
            times = ratio(rounds, ("remit fanout", "children_per_s"), (name, "children_per_s"))
            figure = f"{middle(rounds, name, 'children_per_s'):,.0f}/s, Remit {times:.1f} x"
            rows.append(
                Row(f"  {label}", figure, f">= {bar} x" if bar else "", times >= bar if bar else None)
            )
    kept = middle(rounds, "remit fanout 10000", "rate_ratio")
    many = middle(rounds, "remit fanout 10000", "children_per_s")
    rows.append(Row("  10,000 children", f"{many:,.0f}/s, {kept:.2f} x", ">= 1 x", kept >= 1))
    share = ratio(rounds, ("remit fanout", "rows_per_s"), ("remit raw rows", "rows_per_s"))
    raw = middle(rounds, "remit raw rows", "rows_per_s")
    written = middle(rounds, "remit fanout", "rows_per_s")
    rows.append(
        Row("raw grouped inserts of the same rows", f"{raw:,.0f} rows/s; Remit {written:,.0f}, {share:.3f} x")
    )
    return rows


def size(rounds: Rounds) -> list[Row]:
    of = partial(middle, rounds, "remit size")
    rows, held_bytes = of("rows_per_child"), of("bytes_per_child")
    return [
        Row("rows per child, one step", f"{rows:.2f}", "<= 3 (N + 2)", rows <= 3),
        Row("bytes per child", f"{held_bytes:,.0f} B", "<= 2,048 B", held_bytes <= 2048),
    ]


def preflight(rounds: Rounds) -> list[Row]:
    of = partial(middle, rounds, "remit preflight")
    return [
        Row("pre-flight, median", f"{of('preflight_us'):.1f} us", "<= 20 us", of("preflight_us") <= 20),
        Row("  with cold caches, after a sync", f"{of('cold_preflight_us'):.1f} us"),
        Row("  its checks; the whole admission", f"{of('checks_us'):.1f} us; {of('admission_us'):.1f} us"),
    ]


def policy(rounds: Rounds) -> list[Row]:
    of = partial(middle, rounds, "remit policy")
    parts = f"{of('call_us'):.1f} us; {of('take_us'):.1f} us; {of('result_us'):.1f} us"
    return [
        Row("policy checks, 1 KB, median", f"{of('policy_us'):.1f} us", "<= 25 us", of("policy_us") <= 25),
        Row("  the call; its rate; its result", parts),
    ]


def barrier(rounds: Rounds) -> list[Row]:
    of = partial(middle, rounds, "remit barrier")
    return [
        Row("barrier p99, 20 busy tasks", f"{of('p99_ms'):.2f} ms", "<= 5 ms", of("p99_ms") <= 5),
        Row("  p50; idle p50", f"{of('p50_ms'):.2f} ms; {of('idle_p50_ms'):.2f} ms"),
        Row(
            "  bare commit and one turn, p99; p50", f"{of('bare_p99_ms'):.2f} ms; {of('bare_p50_ms'):.2f} ms"
        ),
    ]


def waiting(rounds: Rounds) -> list[Row]:
    of = partial(middle, rounds, "remit waiting")
    name = f"memory of {of('waiting'):,.0f} waiting for a human"
    return [Row(name, f"{of('added_mb'):.1f} MB", "< 60 MB", of("added_mb") < 60)]


def flat(rounds: Rounds) -> list[Row]:
    of = partial(middle, rounds, "remit flat")
    means = f"{of('full_mean_ms'):.3f} : {of('empty_mean_ms'):.3f} ms"
    tails = f"{of('full_p99_ms'):.3f} : {of('empty_p99_ms'):.3f} ms"
    mean, p99 = of("mean_ratio"), of("p99_ratio")
    return [
        Row(f"a call beside {of('finished'):,.0f} finished : in an empty file"),
        Row("  mean", f"{mean:.2f} x ({means})", "<= 1.2 x", mean <= 1.2),
        Row("  p99", f"{p99:.2f} x ({tails})", "<= 1.2 x", p99 <= 1.2),
    ]


def replay(rounds: Rounds) -> list[Row]:
    of = partial(middle, rounds, "remit replay")
    live, again = of("live_s"), of("steps_run_again")
    return [
        Row(f"replay of {of('calls'):,.0f} recorded calls", f"{live:.2f} s", "< 1 s", live < 1),
        Row("  recorded steps run again", f"{again:.0f}", "0", again == 0),
    ]


def workflow(rounds: Rounds) -> list[Row]:
    """The last three stand beside what the document on sub-workflows says of its own system."""
    of = partial(middle, rounds, "remit workflow")
    times, steps, rows = of("ratio"), of("steps_per_child"), of("rows_per_child")
    kb, spawn = of("kb_per_live_child"), of("spawn_ms")
    figure = f"{times:.2f} x ({of('workflow_ms'):.1f} : {of('python_ms'):.1f} ms)"
    written = f"{rows:.2f} of {steps:.0f} steps; {of('bytes_per_child'):,.0f} B"
    return [
        Row("workflow of 50 steps, 12 children : in Python", figure, "<= 1.3 x", times <= 1.3),
        Row("  rows and bytes of a child workflow", written, "<= N + 2 rows", rows <= steps + 2),
        Row("  memory of a child workflow that runs", f"{kb:.1f} KB", "<= 5 MB", kb <= 5 * 1024),
        Row("  from the directive to its first step", f"{spawn:.2f} ms", "<= 10-50 ms", spawn <= 50),
    ]


def importing(rounds: Rounds) -> list[Row]:
    of = partial(middle, rounds, "remit import")
    own, gross = of("import_s"), of("gross_s")
    return [
        Row("import remit (interpreter included)", f"{own:.3f} s ({gross:.3f} s)", "< 0.15 s", own < 0.15),
        Row("  with the names of a first process", f"{of('used_s'):.3f} s ({of('used_cpu_s'):.3f} s of CPU)"),
    ]


ROWS: dict[str, Callable[[Rounds], list[Row]]] = {
    "sequential": sequential,
    "fanout": fanout,
    "size": size,
    "preflight": preflight,
    "policy": policy,
    "barrier": barrier,
    "waiting": waiting,
    "replay": replay,
    "workflow": workflow,
    "import": importing,
    "flat": flat,
}


def table(rows: list[Row]) -> str:
    """The rows in aligned columns."""
    titles = Row("", "figure", "target")
    lines = [(row.name, row.figure, row.target, row.verdict) for row in [titles, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
