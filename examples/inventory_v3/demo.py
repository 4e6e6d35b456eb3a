"""The whole story in one program: `python -m examples.inventory_v3`."""

from __future__ import annotations

import asyncio

from remit import MisuseError, Remit

from .shop import HAUNTED, audit, inventory, inventory_without_shelf, order, returns, stocktaking

__all__ = ["main", "story"]

CALLERS = (order, returns, audit)
ORDERS = 60
MOST_CALLS = 2_000


def main() -> int:
    """Tell it; the exit code is 0."""
    asyncio.run(story(":memory:"))
    return 0


async def story(store: str) -> None:
    """Print what happens, step by step."""
    async with Remit(store, processes=[inventory, inventory_without_shelf, *CALLERS, stocktaking]) as app:
        await app.publish(inventory, inventory_without_shelf, *CALLERS, stocktaking, by="ann")
        for each in (inventory, *CALLERS, stocktaking):
            await app.promote(f"{each.name}@{each.version}")
        running = await app.start("stocktaking", "boot")
        await app.declare("stocktaking@1.0.0", with_="inventory@3")
        await _promote_until_declared(app)
        await _orders(app)
        await _break_it(app)
        await app.send(running.id, "counted")
        versions = [(await app.get(each)).version for each in (await running.outcome()).unwrap()]
        print(f"The stocktaking that began before all this called {versions[0]}, and then {versions[1]}.")


async def _promote_until_declared(app: Remit) -> None:
    for declares in (None, order, returns):
        if declares is not None:
            await app.declare(f"{declares.name}@{declares.version}", with_="inventory@3")
            print(f"{declares.name} declares that it works with inventory@3.")
        try:
            await app.rollout("inventory@3.0.0", 0.1)
        except MisuseError as refused:
            missing = [f"{each['caller']}@{each['version']}" for each in refused.details["callers"]]
            print(f"inventory 3.0.0 is refused ({refused.code}): {', '.join(missing)}")
    await app.declare("audit@1.0.0", with_="inventory@3")
    view = await app.promote("inventory@3.0.0", to=0.1)
    print(f"audit declares too: inventory {view.version} is for {view.to_share:.0%} of the traces that begin now.")


async def _orders(app: Remit) -> None:
    called = [(await (await app.start(order, "hat")).outcome()).unwrap() for _ in range(ORDERS)]
    versions = [(await app.get(each)).version for each in called]
    print(f"Of {ORDERS} orders {versions.count('2.0.0')} called 2.0.0 and {versions.count('3.0.0')} called 3.0.0.")


async def _break_it(app: Remit) -> None:
    """3.0.0 cannot count candles."""
    for _ in range(MOST_CALLS):
        await (await app.start(returns, HAUNTED)).outcome()
        taken_back = await app.alerts(code="rolled_back")
        if taken_back:
            print(taken_back[0].message)
            break
    called = (await (await app.start(returns, HAUNTED)).outcome()).unwrap()
    print(f"A return calls {(await app.get(called)).version} again.")
