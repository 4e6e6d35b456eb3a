"""kill -9 in the middle of erasures and sweeps: the next owner ends them, and nothing is half done for whoever reads (L53)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from remit import Keyring, MisuseError, Remit
from remit.testing.faults import Killed, child_argv, run_until_killed
from tests.laws.scene import look_at, open_store, until
from tests.laws.test_erasure import CANARY, app_on, files_with, live_through, refuses
from tests.laws.test_retention import leaf, tree

_PROJECT = Path(__file__).parents[2]


def erase(directory: str, encrypted: str) -> None:
    """The victim: lives through something, and erases it."""

    async def go() -> None:
        async with app_on(Path(directory), encrypted=encrypted == "yes") as app:
            await live_through(app)
            await live_through(app, "globex")
            print("erasing", flush=True)
            await app.erase("acme")

    asyncio.run(go())


def go_on(directory: str, encrypted: str) -> None:
    """The next owner, killed while it ends what the first one began."""

    async def go() -> None:
        async with app_on(Path(directory), encrypted=encrypted == "yes"):
            await until(lambda: done(Path(directory)))

    asyncio.run(go())


async def done(directory: Path) -> bool:
    return look_at(directory / "data", "SELECT count(*) FROM erasures WHERE done_at IS NULL") == [(0,)]


def killed(entry: str, boundary: str, *arguments: str) -> Killed:
    ending = run_until_killed(child_argv(f"tests.laws.test_erasure_broken_off:{entry}", *arguments), boundary, 1, cwd=_PROJECT)
    assert isinstance(ending, Killed), ending
    return ending


@pytest.mark.parametrize("encrypted", ["no", "yes"])
@pytest.mark.parametrize("boundary", ["erasure.decided", "erasure.keyless", "erasure.each", "erasure.rewritten"])
async def test_L53_an_erasure_that_was_killed_is_ended_by_the_next_owner(tmp_path: Path, boundary: str, encrypted: str) -> None:
    assert "erasing" in killed("erase", boundary, str(tmp_path), encrypted).stdout
    for again in ("erasure.keyless", "erasure.rewritten"):
        killed("go_on", again, str(tmp_path), encrypted)
    async with app_on(tmp_path, encrypted=encrypted == "yes") as app:
        await until(lambda: done(tmp_path))
        (mine,) = [each for each in await app.list(tenant="acme") if each.depth == 0]
        (other,) = [each for each in await app.list(tenant="globex") if each.depth == 0]
        assert (mine.erased, other.erased, other.input) == (True, False, CANARY)
        await app.erase("globex")
    assert files_with(tmp_path) == []


async def test_L53_what_is_sealed_after_a_crash_is_not_sealed_with_a_key_that_goes(tmp_path: Path) -> None:
    """The erasure is decided, the process dies before keys go, and the tenant begins anew."""
    killed("erase", "erasure.decided", str(tmp_path), "yes")
    async with app_on(tmp_path, encrypted=True) as app:
        new = await app.start(refuses, "later", tenant="acme")
        await new.outcome(timeout=5)
        await until(lambda: done(tmp_path))
        assert (await app.get(new.id)).input == "later"
    async with app_on(tmp_path, encrypted=True) as app:
        assert (await app.get(new.id)).error.message == "cannot do later"


def sweep(directory: str) -> None:
    """The victim: deletes a tree and dies."""

    async def go() -> None:
        async with Remit(open_store(Path(directory)), processes=[tree, leaf], encryption=Keyring(Path(directory) / "keys")) as app:
            await (await app.start(tree, 150, key="one")).outcome(timeout=20)
            await (await app.start(tree, 1, key="two")).outcome(timeout=20)
            await app.set_retention(keep="1ms")
            await asyncio.sleep(0.01)
            print("sweeping", flush=True)
            await app.sweep()

    asyncio.run(go())


@pytest.mark.parametrize("boundary", ["retention.buried"])
async def test_L53_a_sweep_that_was_killed_has_deleted_a_tree_or_left_it(tmp_path: Path, boundary: str) -> None:
    assert "sweeping" in killed("sweep", boundary, str(tmp_path)).stdout
    keys = Keyring(tmp_path / "keys")
    async with Remit(open_store(tmp_path), processes=[tree, leaf], encryption=keys) as app:
        assert len((await app.tree((await app.list(limit=1_000))[-1].execution_id)).children) == 150
        assert (await app.sweep()).executions == 153
        for key, n in (("one", 150), ("two", 1)):
            with pytest.raises(MisuseError) as refused:
                await app.start(tree, n, key=key)
            assert refused.value.code == "execution_deleted"
