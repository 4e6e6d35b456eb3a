"""The sequential and the fan-out rows on LangGraph, checkpointed in SQLite (WAL, synchronous=FULL).

A child is a compiled graph of one node, called as a node of its parent, which is LangGraph's own way to nest;
`durability="sync"` makes every checkpoint durable before the next step begins.
"""

from __future__ import annotations

import asyncio
import operator
import statistics
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from measure import arguments, report, scratch, timings


def furthest(one: int, other: int) -> int:
    return max(one, other)


class Parent(TypedDict):
    count: int
    number: Annotated[int, furthest]
    total: Annotated[int, operator.add]


class ChildInput(TypedDict):
    number: int


class ChildResult(TypedDict):
    number: int
    total: int


async def add_one(state: ChildInput) -> dict[str, int]:
    return {"number": state["number"] + 1, "total": state["number"] + 1}


def child_graph() -> Any:
    graph = StateGraph(ChildResult, input_schema=ChildInput)
    graph.add_node("add_one", add_one)
    graph.add_edge(START, "add_one")
    graph.add_edge("add_one", END)
    return graph.compile()


def sequential_graph(saver: AsyncSqliteSaver) -> Any:
    """The child is a node with an edge back to itself until `count` children have run."""
    graph = StateGraph(Parent)
    graph.add_node("child", child_graph())
    graph.add_edge(START, "child")
    graph.add_conditional_edges("child", lambda state: "child" if state["number"] < state["count"] else END)
    return graph.compile(checkpointer=saver)


def fanout_graph(saver: AsyncSqliteSaver) -> Any:
    """Map-reduce: one `Send` per child, their results summed by the state's reducer."""
    graph = StateGraph(Parent)
    graph.add_node("child", child_graph())
    graph.add_conditional_edges(START, one_send_each)
    graph.add_edge("child", END)
    return graph.compile(checkpointer=saver)


def one_send_each(state: Parent) -> list[Send]:
    return [Send("child", {"number": number}) for number in range(state["count"])]


async def measure(shape: str, count: int, seconds: float, least: int) -> list[float]:
    with scratch() as folder:
        async with aiosqlite.connect(folder / "langgraph.db") as connection:
            saver = AsyncSqliteSaver(connection)
            await saver.setup()
            await make_durable(connection)
            graph = GRAPHS[shape](saver)

            async def parent(children: int = count) -> None:
                config = {"configurable": {"thread_id": str(uuid4())}, "recursion_limit": count + 100}
                first = {"count": children, "number": 0, "total": 0}
                final = await graph.ainvoke(first, config, durability="sync")
                if final["total"] != children * (children + 1) // 2:
                    raise RuntimeError(f"LangGraph answered {final['total']} for {children} children")

            await parent(min(count, 20))
            return await timings(parent, seconds, least)


GRAPHS = {"sequential": sequential_graph, "fanout": fanout_graph}


async def make_durable(connection: aiosqlite.Connection) -> None:
    """Switch the saver's one connection, and ask it what it now does."""
    seen = []
    for pragma, value in (("journal_mode", "WAL"), ("synchronous", "FULL")):
        await connection.execute(f"PRAGMA {pragma}={value}")
        cursor = await connection.execute(f"PRAGMA {pragma}")
        seen.append(await cursor.fetchone())
    if seen != [("wal",), (2,)]:
        raise RuntimeError(f"LangGraph's connection is not WAL and FULL: {seen}")


def main() -> None:
    options = arguments(__doc__, shape="sequential", count=200, seconds=1.0, least=1)
    durations = asyncio.run(measure(options.shape, options.count, options.seconds, options.least))
    each = statistics.median(durations) / options.count
    report(ms_per_child=each * 1e3, children_per_s=1 / each, parents=len(durations))


if __name__ == "__main__":
    main()
