"""Opening a SQLite file: location, pragmas, migrations, and errors that say how to mend them."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import apsw

from remit.errors import StoreError

__all__ = [
    "APPLICATION_ID",
    "Location",
    "connect",
    "explained",
    "migrate",
    "newest_schema",
    "parse_location",
    "prepare_file",
]

APPLICATION_ID = 0x52454D54  # "REMT"
_MIGRATIONS = Path(__file__).parent.parent / "migrations" / "sqlite"
_SYNCHRONOUS = ("FULL", "EXTRA", "NORMAL", "OFF")
BUSY_TIMEOUT_MS = 250
CACHE_KIB = 8_192
"""Pages kept per connection: enough for the upper levels of every index; the rest is the operating system's cache."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a store lies: a path (':memory:' for none), and what tests may vary."""

    path: str
    vfs: str | None = None
    synchronous: str = "FULL"

    @property
    def in_memory(self) -> bool:
        """Whether nothing of it outlives the process."""
        return self.path == ":memory:"


def parse_location(url: str) -> Location:
    """The location a URL names: 'sqlite:///relative.db', 'sqlite:////absolute.db', ':memory:' or a plain path."""
    if url in (":memory:", "sqlite://", "sqlite:///:memory:"):
        return Location(":memory:")
    text = url
    if url.startswith("sqlite:"):
        if not url.startswith("sqlite:///"):
            raise StoreError(
                f"{url!r} names no file: write sqlite:///orders.db, or sqlite:////var/lib/orders.db for an absolute path"
            )
        text = url[len("sqlite:///") :]
    elif "://" in url:
        raise StoreError(f"{url!r} is no store Remit knows: write sqlite:///FILE or :memory:")
    path, _, query = text.partition("?")
    options = dict(parse_qsl(query, strict_parsing=bool(query)))
    unknown = sorted(set(options) - {"vfs", "synchronous"})
    if unknown:
        raise StoreError(
            f"{url!r} has options a store does not know: {', '.join(unknown)}; it takes vfs and synchronous"
        )
    synchronous = options.get("synchronous", "FULL").upper()
    if synchronous not in _SYNCHRONOUS:
        raise StoreError(f"{url!r}: synchronous={synchronous} is none of {', '.join(_SYNCHRONOUS)}")
    if not path:
        raise StoreError(f"{url!r} names no file: write sqlite:///orders.db")
    return Location(os.path.realpath(unquote(path)), options.get("vfs"), synchronous)  # one lock, by whatever link it is named


@contextmanager
def explained(location: Location, doing: str) -> Iterator[None]:
    """Turn SQLite's errors into `StoreError`s that say what, where and how to mend it."""
    where = f"{location.path}: cannot {doing}"
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreError(
            f"{where}: the file is no SQLite database or is corrupted ({error}). Restore a backup, or run `remit doctor` on a copy.",
            path=location.path,
        ) from error
    except apsw.ReadOnlyError as error:
        raise StoreError(
            f"{where}: the file or its directory is read-only ({error}). Give this user write permission on both.",
            path=location.path,
        ) from error
    except apsw.FullError as error:
        raise StoreError(
            f"{where}: the disk is full ({error}). Free some space; nothing acknowledged is lost.",
            path=location.path,
            transient=True,
        ) from error
    except apsw.BusyError as error:
        raise StoreError(
            f"{where}: another program holds a lock on it ({error}). End its transaction.",
            path=location.path,
            transient=True,
        ) from error
    except apsw.CantOpenError as error:
        raise StoreError(
            f"{where}: it cannot be opened ({error}). Does its directory exist, and may this user write there?",
            path=location.path,
        ) from error
    except apsw.ConstraintError as error:
        message = f"{where}: the store refuses what was decided ({error}). This is a fault of Remit's own: keep the file and report it."
        raise StoreError(message, path=location.path) from error
    except apsw.IOError as error:
        raise StoreError(
            f"{where}: the disk failed ({error}). Check the disk; nothing acknowledged is lost.",
            path=location.path,
            transient=True,
        ) from error


def prepare_file(location: Location) -> None:
    """Create the file with mode 0600 where it is missing, so that nobody else can read payloads."""
    if location.in_memory or location.vfs is not None:
        return
    try:
        _create_or_look(location.path)
    except PermissionError as error:
        raise StoreError(
            f"{location.path}: the file or its directory is read-only ({error.strerror}). Give this user write permission on both.",
            path=location.path,
        ) from error
    except OSError as error:
        raise StoreError(
            f"{location.path}: cannot be opened ({error.strerror}). Does its directory exist?", path=location.path
        ) from error


def _create_or_look(path: str) -> None:
    """Make the file, or look at the one that is there without opening it.

    To close it again would drop the locks that this process has on it for SQLite (POSIX), and whoever opens the file next
    would take its log for that of a dead process and delete it, acknowledged work in it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        there = Path(path)
        if there.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from None
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
        if there.stat().st_size == 0:
            there.chmod(0o600)


def connect(location: Location, *, readonly: bool = False) -> apsw.Connection:
    """A connection with the pragmas every connection needs."""
    flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    with explained(location, "open the store"):
        connection = apsw.Connection(location.path, flags=flags, vfs=location.vfs)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if not readonly:
            _refuse_foreign(connection, location)
            mode = connection.execute("PRAGMA journal_mode = WAL").get
            if mode not in ("wal", "memory"):
                raise apsw.IOError(f"the journal mode stayed {mode}")
            connection.execute(f"PRAGMA synchronous = {location.synchronous}")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def _refuse_foreign(connection: apsw.Connection, location: Location) -> None:
    """Before anything is written, the journal mode included: whose file is this, and of which release?"""
    application, version = connection.pragma("application_id"), connection.pragma("user_version")
    if application != APPLICATION_ID and connection.execute("SELECT count(*) FROM sqlite_schema").get:
        raise StoreError(
            f"{location.path} is another program's database: name a file of Remit's own", path=location.path
        )
    newest = newest_schema()
    if application == APPLICATION_ID and version > newest:
        raise StoreError(
            f"{location.path} was written by a newer Remit (schema {version}, this one knows {newest}): upgrade remit",
            path=location.path,
        )


def migrate(connection: apsw.Connection, location: Location, *, empty_only: bool = False) -> None:
    """Bring the schema up to date, each migration in a transaction of its own; of several at once, one does the work."""
    with explained(location, "migrate the store"):
        if empty_only and connection.pragma("user_version"):
            return
        for migration in sorted(_MIGRATIONS.glob("[0-9]*.sql")):
            number = _number(migration)
            if number <= connection.pragma("user_version"):
                continue
            connection.execute("BEGIN IMMEDIATE")
            try:
                if number > connection.pragma("user_version"):
                    connection.execute(migration.read_text(encoding="utf-8"))
                    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise


def newest_schema() -> int:
    """The number of the last migration this release knows."""
    return max(map(_number, _MIGRATIONS.glob("[0-9]*.sql")))


def _number(migration: Path) -> int:
    found = re.match(r"\d+", migration.name)
    assert found is not None
    return int(found.group())
