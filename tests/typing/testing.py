"""What type checkers make of the testing kit: outcomes are typed, options are known."""

from __future__ import annotations

from typing import Any, assert_type

from remit import Entry, Outcome, process
from remit.testing import (
    Apps,
    Made,
    Replayed,
    TestApp,
    VirtualClock,
    after,
    assert_called,
    assert_lineage,
    assert_tree,
    export_history,
    hangs,
    in_turn,
    replay,
)


@process("double")
async def double(number: int) -> str:
    return str(2 * number)


async def an_app(remit_app: Apps) -> None:
    async with remit_app([double], tools={"a": hangs, "b": in_turn(1, after("1h", 2))}, real=False) as app:
        assert_type(app, TestApp)
        assert_type(await app.run(double, 2, tenant="acme"), Outcome[str])
        assert_type(await app.run("double", 2), Outcome[Any])
        assert_type(app.calls.of("double"), list[Made])
        assert_type(app.clock, VirtualClock)
        await app.clock.advance("2d", force=True)
        await app.settle()
        lineage: list[Entry] = await app.lineage("exec_0")
        assert_lineage(lineage, "tool a")
        assert_tree(await app.tree("exec_0"), "double")
        assert_called(app.calls, "double", times=1, having={"input": 2})
        history = await export_history(app, "exec_0")
    assert_type(history, dict[str, Any])
    assert_type(await replay(history, [double]), list[Replayed])
    remit_app([double], tool={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    TestApp([double], answers=[1])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await app.run(double, "two")  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
