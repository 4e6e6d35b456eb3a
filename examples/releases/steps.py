"""The steps of all four workflows; each can be run again, and comes to the same files."""

from __future__ import annotations

import hashlib
import io
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

from examples.releases.landscape import the_landscape
from remit import DomainError
from remit.workflows import StepContext

from .models import ChangeState, RolloutState, ServiceState, TrainState

__all__ = [
    "build",
    "check_build",
    "check_calendar",
    "open_train",
    "record_change",
    "refuse",
    "smoke_test",
    "switch",
    "unpack",
    "write_notes",
]


def open_train(state: TrainState) -> dict[str, Any]:
    """Raises `unknown_service`, before anything is built."""
    unknown = [each for each in state.services if not (the_landscape().sources / each / "service.toml").is_file()]
    if unknown:
        raise DomainError(f"There is no service {unknown[0]!r}", code="unknown_service")
    return {}


def build(state: ServiceState) -> dict[str, Any]:
    """Pack the sources; the same sources are the same build, byte for byte."""
    landscape = the_landscape()
    packed = _packed(landscape.sources / state.service)
    digest = hashlib.sha256(packed).hexdigest()[:12]
    landscape.write(landscape.build(state.service, digest), packed)
    return {"digest": digest}


def check_build(state: ServiceState) -> dict[str, Any]:
    """Raises `bad_build` for one that does not say who it is."""
    with ZipFile(the_landscape().build(state.service, state.digest)) as archive:
        described = tomllib.loads(archive.read("service.toml").decode())
    if described.get("name") != state.service or not isinstance(described.get("version"), str):
        raise DomainError(f"The build of {state.service} says it is {described}", code="bad_build")
    return {"version": described["version"]}


def unpack(state: RolloutState) -> dict[str, Any]:
    """Put the build where the environment can run it, beside what it runs now."""
    landscape = the_landscape()
    place = landscape.deployed(state.environment, state.service)
    with ZipFile(landscape.build(state.service, state.digest)) as archive:
        for name in archive.namelist():
            landscape.write(place / state.version / name, archive.read(name))
        files = len(archive.namelist())
    return {"files": files, "replaces": landscape.current(state.environment, state.service) or "nothing"}


def switch(state: RolloutState) -> dict[str, Any]:
    """From now on the environment runs this version."""
    landscape = the_landscape()
    landscape.write(landscape.deployed(state.environment, state.service) / "current", state.version.encode())
    return {}


def smoke_test(state: RolloutState) -> dict[str, Any]:
    """What the environment runs says that it is what was meant; raises `smoke_test_failed`."""
    landscape = the_landscape()
    running = landscape.current(state.environment, state.service) or ""
    described = tomllib.loads(_text(landscape.deployed(state.environment, state.service) / running / "service.toml"))
    if (described["name"], described["version"]) != (state.service, state.version):
        raise DomainError(f"{state.environment} runs {described}", code="smoke_test_failed")
    return {"running": running}


def refuse(state: RolloutState) -> dict[str, Any]:
    """The change board said no; raises `change_refused`."""
    raise DomainError(f"{state.approved_by} refused {state.service} {state.version}", code="change_refused")


def check_calendar(state: ChangeState) -> dict[str, Any]:
    """Raises `change_freeze` while nothing may change."""
    if the_landscape().is_frozen():
        raise DomainError(f"Production is frozen: {state.service} {state.version} waits", code="change_freeze")
    return {}


def record_change(state: ChangeState, context: StepContext) -> dict[str, Any]:
    """Keep the decision."""
    decision = f"{state.service} {state.version}: {'approved' if state.approved else 'refused'} by {state.by}\n"
    landscape = the_landscape()
    landscape.write(landscape.folder / "changes" / f"{context.workflow_id}.txt", decision.encode())
    return {}


def write_notes(state: TrainState) -> dict[str, Any]:
    """What went out with the train."""
    landscape = the_landscape()
    lines = [f"{each['service']} {each['version']}, approved by {each['approved_by']}" for each in state.released]
    landscape.write(landscape.folder / "notes" / f"{state.train}.txt", ("\n".join(lines) + "\n").encode())
    return {}


def _packed(folder: Path) -> bytes:
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.writestr(ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes())  # without its time
    return packed.getvalue()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
