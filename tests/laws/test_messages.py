"""What a beginner gets wrong is told with its place and its remedy."""

from __future__ import annotations

from typing import Any

import pytest

import remit
from remit import Budget, DefinitionError, DomainError, MisuseError, Remit, call_process, process, step


@step
async def divide(by: int) -> int:
    return 1 // by


@process("child")
async def child(n: int) -> int:
    return await divide(n)


@process("forgetful")
async def forgetful(n: int) -> int:
    return divide(n)  # type: ignore[return-value]


@process("undeclared")
async def undeclared(n: int) -> int:
    return (await call_process(child, n)).unwrap()


@process("unhosted", calls=[child])
async def unhosted(n: int) -> int:
    return (await call_process(child, n)).unwrap()


@process("clumsy")
async def clumsy(n: int) -> int:
    return {"a": n}["b"]


@process("thoughtless")
async def thoughtless(n: int) -> int:
    return Budget(tokens=-n).tokens or 0


def _error(target: Any, n: int = 1) -> remit.ErrorInfo:
    error = remit.run(target, n).error
    assert error is not None
    return error


@pytest.mark.parametrize(("target", "n", "function"), [(clumsy, 1, "clumsy"), (child, 0, "divide"), (thoughtless, 1, "thoughtless")])
def test_L16_an_unexpected_exception_is_recorded_with_the_author_s_line(target: Any, n: int, function: str) -> None:
    at = _error(target, n).details["at"]
    assert at.startswith("test_messages.py:")
    assert at.endswith(f" in {function}")


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_L13_a_forgotten_await_is_named_as_the_remedy() -> None:
    assert "Fix: await it" in _error(forgetful).message


def test_L6_an_undeclared_or_unhosted_callee_says_where_to_add_it() -> None:
    assert "calls= of process 'undeclared' (test_messages.py:" in _error(undeclared).message
    assert "Remit(..., processes=[...])" in _error(unhosted).message


@pytest.mark.parametrize("calls", ["child", child])
def test_L6_calls_that_is_no_list_is_refused_where_it_is_written(calls: Any) -> None:
    with pytest.raises(DefinitionError, match=r"test_messages\.py:\d+\): calls= is a list: write calls=\["):

        @process("wrong", calls=calls)
        async def wrong() -> None: ...


def test_L6_processes_that_is_no_list_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"processes= is a list"):
        Remit(":memory:", processes=child)  # type: ignore[arg-type]


async def test_L10_a_key_of_another_process_says_so() -> None:
    async with Remit(":memory:", processes=[child, clumsy]) as app:
        await app.start(child, 1, key="k")
        with pytest.raises(MisuseError, match=r"used to start 'child', not 'clumsy'"):
            await app.start(clumsy, 1, key="k")


def test_L16_a_code_that_is_its_own_message_is_shown_once() -> None:
    assert str(DomainError("no_rate").info("exec_1", 1)) == "no_rate"
    assert str(DomainError("None left", code="no_rate").info("exec_1", 1)) == "no_rate: None left"
