"""The pytest plugin: a fixture that makes apps for tests, and async tests that ask for it run without another plugin.

Nothing happens in tests that do not use the fixture.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

import pytest

if TYPE_CHECKING:
    from remit.testing.harness import Hosted, Options, TestApp

__all__ = ["Apps", "pytest_pyfunc_call", "pytest_runtest_makereport", "remit_app"]

T = TypeVar("T")
_FIXTURE = "remit_app"
_RUNNERS = ("anyio", "asyncio", "trio", "twisted", "tornasync")
"""Marks with which other plugins claim an async test."""


class Apps:
    """Makes apps: `async with remit_app([order], tools={"rate-card": 7}) as app`. Its arguments are those of `TestApp`."""

    def __init__(self) -> None:
        self._made: list[TestApp] = []

    def __call__(self, processes: Iterable[Hosted] = (), **options: Unpack[Options]) -> TestApp:
        """An app, to be opened with `async with`."""
        from remit.testing.harness import TestApp

        app = TestApp(processes, **options)
        self._made.append(app)
        return app

    def run(self, scenario: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine from a test that is a plain function."""
        return asyncio.run(scenario)

    @property
    def trees(self) -> list[str]:
        """The trees that apps which ended with an error ended with."""
        return [tree for app in self._made for tree in app.last_trees]


@pytest.fixture
def remit_app() -> Apps:
    """Makes apps for a test; see `remit.testing.TestApp`."""
    return Apps()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that asks for the fixture, where no other plugin has claimed it."""
    function = pyfuncitem.obj
    claimed = any(pyfuncitem.get_closest_marker(name) is not None for name in _RUNNERS)
    if _FIXTURE not in pyfuncitem.fixturenames or claimed or not inspect.iscoroutinefunction(function):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(function(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show the trees that a failing test ended with."""
    report = yield
    apps = getattr(item, "funcargs", {}).get(_FIXTURE)
    if isinstance(apps, Apps) and report.when == "call" and report.failed and apps.trees:
        report.sections.append(("Trees", "\n\n".join(apps.trees)))
    return report
