"""The pytest plugin, in pytest runs of their own: async tests without another plugin, trees of failures, no side effects."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from remit import process
from remit.testing import TestApp
from remit.testing.harness import Options
from remit.testing.plugin import Apps

SHOP = """
    from remit import ask, process, tool
    from remit.durable import sleep

    @tool("rate-card", cost="0.02")
    async def rate(country: str) -> int:
        raise ConnectionError(country)

    @process("price")
    async def price(country: str) -> int:
        await sleep("2d")
        return await rate(country)
"""


def _pytest(directory: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    (directory / "shop.py").write_text(textwrap.dedent(SHOP))
    (directory / "test_shop.py").write_text("from shop import *\n" + textwrap.dedent(test))
    (directory / "pytest.ini").write_text("[pytest]\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


ASYNC = """
    async def test_a_price(remit_app):
        async with remit_app([price], tools={"rate-card": 7}) as app:
            assert (await app.run(price, "FR")).unwrap() == 7
"""


@pytest.mark.parametrize("options", [[], ["-p", "no:anyio"], ["-p", "no:anyio", "-W", "error"]], ids=str)
def test_an_async_test_runs_without_another_plugin(tmp_path, options) -> None:
    ran = _pytest(tmp_path, ASYNC, *options)
    assert "1 passed" in ran.stdout, ran.stdout


def test_a_test_that_another_plugin_has_claimed_is_left_to_it(tmp_path) -> None:
    claimed = """
        import asyncio
        import pytest

        @pytest.fixture
        async def country():
            yield "FR"

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_a_price(remit_app, country, anyio_backend):
            async with remit_app([price], tools={"rate-card": 7}) as app:
                assert (await app.run(price, country)).unwrap() == 7
    """
    ran = _pytest(tmp_path, claimed)
    assert "1 passed" in ran.stdout, ran.stdout


def test_a_plain_test_runs_a_coroutine_and_a_class_s_method_is_a_test_too(tmp_path) -> None:
    plain = """
        import pytest

        def test_a_price(remit_app):
            async def scenario():
                async with remit_app([price], tools={"rate-card": 7}) as app:
                    return (await app.run(price, "FR")).unwrap()
            assert remit_app.run(scenario()) == 7

        class TestPrices:
            @pytest.mark.parametrize("cents", [7, 8])
            async def test_a_price(self, remit_app, cents, tmp_path):
                async with remit_app([price], tools={"rate-card": cents}) as app:
                    assert (await app.run(price, "FR")).unwrap() == cents
    """
    ran = _pytest(tmp_path, plain)
    assert "3 passed" in ran.stdout, ran.stdout


def test_a_failing_test_shows_its_trees(tmp_path) -> None:
    failing = """
        async def test_a_price(remit_app):
            async with remit_app([price], tools={"rate-card": LookupError("no country")}) as app:
                assert (await app.run(price, "FR")).ok
    """
    ran = _pytest(tmp_path, failing)
    assert ran.returncode == 1
    assert "Trees" in ran.stdout
    assert "price FAILED domain_error $0.02" in ran.stdout


def test_tests_without_the_fixture_notice_nothing(tmp_path) -> None:
    others = """
        import sys

        def test_nothing_is_loaded():
            assert "remit.testing.harness" not in sys.modules
            assert "remit.engine.engine" not in sys.modules

        async def test_async():
            assert False
    """
    (tmp_path / "shop.py").write_text("")
    test = tmp_path / "test_plain.py"
    test.write_text(textwrap.dedent(others))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:anyio", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed, 1 passed" in ran.stdout, ran.stdout
    assert "async def functions are not natively supported" in ran.stdout


def test_apps_of_a_test_remember_the_trees_of_failures() -> None:
    @process
    async def fails(_: None) -> None:
        raise RuntimeError("no")

    async def scenario(apps: Apps) -> None:
        async with apps([fails]) as app:
            await app.run(fails, None)
            raise KeyError("in the test")

    apps = Apps()
    with pytest.raises(KeyError):
        apps.run(scenario(apps))
    assert apps.trees == ["fails FAILED domain_error"]


def test_the_fixture_takes_what_an_app_takes() -> None:
    taken = {each.name: each for each in inspect.signature(TestApp).parameters.values()}
    assert list(taken)[1:] == list(Options.__annotations__)
    assert all(each.kind is each.KEYWORD_ONLY for each in list(taken.values())[1:])
