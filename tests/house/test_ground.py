"""The ground that tests stand on: asyncio, a known seed, a chosen size, and no host but this one."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

import remit
from remit.package import PACKAGE
from tests.house.sources import modules


async def test_an_async_test_runs_on_asyncio() -> None:
    assert asyncio.get_running_loop() is not None


def test_the_figure_is_one_of_the_two(figure) -> None:
    assert figure(2, 3) in {2, 3}


def test_the_seed_stands_in_the_head_of_the_run(seed: int, request: pytest.FixtureRequest) -> None:
    head = request.config.hook.pytest_report_header(config=request.config, start_path=request.path)
    assert any(f"REMIT_SEED={seed} " in str(line) for line in head)


@pytest.mark.parametrize("event", ["socket.connect", "socket.sendto"])
@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "example.org"])
def test_another_host_is_refused(event: str, host: str) -> None:
    with pytest.raises(PermissionError, match="loopback"):
        sys.audit(event, None, (host, 80))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        accepted, address = server.accept()
        accepted.close()
    assert address[0] == "127.0.0.1"


def test_where_remit_s_own_code_lies_is_known_in_one_place() -> None:
    """A path counted from a file's own place is wrong as soon as the file moves, and who is blamed for what hangs on it."""
    assert Path(PACKAGE) == Path(str(remit.__file__)).parent
    counted = {module.name for module in modules() if "Path(__file__)" in module.text}
    assert counted == {"remit.package", "remit.store.sqlite.database"}
