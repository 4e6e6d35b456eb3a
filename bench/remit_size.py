"""Rows and bytes that a child with one durable step leaves in Remit's file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from measure import arguments, report, scratch
from stored import compact_bytes, rows_in
from work import one_after_another, opened, run


async def leave(path: Path, children: int) -> None:
    """Run one parent with so many children, and close the file."""
    async with opened(path) as app:
        await run(app, one_after_another, children)


def main() -> None:
    options = arguments(__doc__, count=1000)
    with scratch() as folder:
        few, many = folder / "few.db", folder / "many.db"
        asyncio.run(leave(few, 1))
        asyncio.run(leave(many, 1 + options.count))
        before, after = rows_in(few), rows_in(many)
        added = {table: rows - before[table] for table, rows in after.items() if rows != before[table]}
        compact = compact_bytes(many) - compact_bytes(few)
        plain = many.stat().st_size - few.stat().st_size
    report(
        rows_per_child=sum(added.values()) / options.count,
        rows_added=added,
        bytes_per_child=compact / options.count,
        bytes_per_child_as_it_lies=plain / options.count,
    )


if __name__ == "__main__":
    main()
