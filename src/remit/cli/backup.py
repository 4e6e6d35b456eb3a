"""`remit backup | restore | migrate`: whole files, copied through SQLite so that a living writer is no matter."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import apsw
import typer
from rich.text import Text

from remit.cli.options import DEFAULT_STORE, JsonFlag, StoreUrl
from remit.cli.output import console, print_json, reported
from remit.control.client import Client
from remit.errors import MisuseError, StoreError, StoreOwned
from remit.store.keyring import Keyring
from remit.store.sqlite import SqliteStore
from remit.store.sqlite.database import APPLICATION_ID, Location, connect, explained, newest_schema, parse_location

__all__ = ["backup", "migrate", "restore"]

_File = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]
_Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


@reported
def backup(file: _File, store: StoreUrl = DEFAULT_STORE, force: _Force = False, as_json: JsonFlag = False) -> None:
    """Copy a store into FILE, mode 0600, as it is at one instant, while its owner goes on writing."""
    source = Client(store).location
    size = _copied(source, file, force=force)
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        console().print(
            Text(f"{file}: {size:,} bytes, checked. `remit restore {file} --store URL` brings it back.", "green"),
            soft_wrap=True,
        )


@reported
def restore(file: _File, store: StoreUrl = DEFAULT_STORE, force: _Force = False, as_json: JsonFlag = False) -> None:
    """Make a store from a backup; one that is there is replaced with --force only, and never while it is driven."""
    if not file.is_file():
        raise MisuseError(f"There is no file {file}: name one that `remit backup` made", code="invalid_input")
    target = parse_location(store)
    if target.in_memory:
        raise MisuseError("A backup is restored to a file: --store sqlite:///FILE", code="invalid_input")
    with _undriven(target):
        size = _copied(Location(str(file.resolve())), Path(target.path), force=force)
        for left in ("-wal", "-shm"):
            Path(target.path + left).unlink(missing_ok=True)
    if as_json:
        print_json({"store": target.path, "bytes": size})
    else:
        console().print(Text(f"{target.path}: restored from {file}, {size:,} bytes, checked.", "green"), soft_wrap=True)


@reported
def migrate(store: StoreUrl = DEFAULT_STORE, as_json: JsonFlag = False) -> None:
    """Bring a store's tables up to this release; makes the store where there is none."""
    location = parse_location(store)
    with _undriven(location):
        before = _schema_of(location) if Path(location.path).exists() else 0
    SqliteStore(store, lambda: int(time.time() * 1_000), Keyring.of_environment()).close()
    if as_json:
        print_json({"store": location.path, "from": before, "to": newest_schema()})
    else:
        told = (
            f"from schema {before} to {newest_schema()}" if before != newest_schema() else f"at schema {before} already"
        )
        console().print(f"{location.path}: {told}", soft_wrap=True, markup=False)


def _schema_of(location: Location) -> int:
    with explained(location, "read the store"):
        connection = connect(location, readonly=True)
        try:
            return int(connection.pragma("user_version"))
        finally:
            connection.close()


def _copied(source: Location, file: Path, *, force: bool) -> int:
    """Copy a database under another name first and check it, so that FILE is whole or not there; its size in bytes."""
    if file.exists() and not force:
        raise MisuseError(
            f"{file} is there already: name another file, or replace it with --force", code="invalid_input"
        )
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(
            f"{file.parent}: cannot be written ({error.strerror}): "
            "name a directory that exists and that this user may write"
        ) from None
    try:
        with explained(source, f"copy it to {file}"):
            _copy(source, str(beside))
        _sync(beside)
        beside.replace(file)
        _sync(file.resolve().parent)
    finally:
        beside.unlink(missing_ok=True)
    return file.stat().st_size


def _copy(source: Location, path: str) -> None:
    """One step over all pages reads one instant; the writer is not held up by it, as the journal mode is WAL."""
    read, written = connect(source, readonly=True), apsw.Connection(path)
    try:
        if read.pragma("application_id") != APPLICATION_ID:
            raise StoreError(f"{source.path} is no store of Remit", path=source.path)
        with written.backup("main", read, "main") as copy:
            copy.step(-1)
        written.execute("PRAGMA journal_mode = DELETE")
        found = written.execute("PRAGMA integrity_check").get
        if found != "ok":
            raise StoreError(
                f"{source.path} is damaged, and so is what was copied: {found}. Restore an earlier backup.",
                path=source.path,
            )
    finally:
        read.close()
        written.close()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _undriven(location: Location) -> Iterator[None]:
    """Hold the owner's lock; raises StoreOwned where another process does."""
    try:
        handle = os.open(location.path + ".owner", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"{location.path}: cannot be written ({error.strerror}). "
            "Does its directory exist, and may this user write there?",
            path=location.path,
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreOwned(
                f"{location.path} is driven by another process: stop it first. `remit doctor` says which it is.",
                path=location.path,
            ) from None
        yield
    finally:
        os.close(handle)
