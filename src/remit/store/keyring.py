"""Data keys of tenants in a file of their own, apart from the database that they seal (L53).

The file is a small SQLite database of mode 0600. A key is durable there before a payload is sealed with it. Destroyed, a
key leaves its id and the time: whoever meets a payload of it knows that it was erased, and not that a key is missing.
With a KEK the file holds no data key in the clear, and is of no use without it.
"""

from __future__ import annotations

import base64
import binascii
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from remit.errors import MisuseError, StoreError
from remit.store.codec import SEALED

if TYPE_CHECKING:
    from remit.store.aes import Cipher

__all__ = ["KeyInfo", "Keyring"]

_APPLICATION_ID = 0x524B4559  # "RKEY"
_ID_BYTES, _KEY_BYTES = 8, 32
_BUSY_TIMEOUT_MS = 5_000
_SCHEMA = """
CREATE TABLE ring (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL, made_at INTEGER NOT NULL, proof BLOB);
CREATE TABLE keys (
  n INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  tenant TEXT NOT NULL,                 -- '' for payloads of no tenant
  key BLOB,                             -- sealed with the KEK where there is one; null: destroyed
  made_at INTEGER NOT NULL,
  destroyed_at INTEGER
);
CREATE INDEX key_by_tenant ON keys (tenant, n);
"""


class KeyInfo(NamedTuple):
    """One key of a tenant, without the key: when it was made and destroyed, in milliseconds since 1970."""

    id: str
    tenant: str
    made_at: int
    destroyed_at: int | None


class Keyring:
    """The keys of one store: `Remit(..., encryption=Keyring("keys.db"))`.

    `kek` says where the key that seals the file's own keys is found: "env:NAME" or "file:PATH", 32 bytes in base64 or hex.
    Nothing is read or made before a store is opened with it; then raises StoreError where the file or the KEK does not fit.
    Needs the extra `encryption`.
    """

    def __init__(self, file: str | PathLike[str], *, kek: str | None = None) -> None:
        self.path = Path(file).absolute()
        self._kek_from = kek
        self._ring: str | None = None
        self._wrap: Cipher | None = None
        self._current: dict[str, tuple[bytes, Cipher]] = {}
        self._known: dict[bytes, Cipher | None] = {}

    @classmethod
    def of_environment(cls) -> Keyring | None:
        """What REMIT_KEYS names, with the KEK in REMIT_KEK or in the file that REMIT_KEK_FILE names; None without REMIT_KEYS."""
        file = os.environ.get("REMIT_KEYS")
        if not file:
            return None
        if os.environ.get("REMIT_KEK"):
            return cls(file, kek="env:REMIT_KEK")
        beside = os.environ.get("REMIT_KEK_FILE")
        return cls(file, kek=f"file:{beside}" if beside else None)

    # -- opening ------------------------------------------------------------------------------------------------------

    def open(self, ring: str | None) -> str:
        """Read the file, and return its id; make it where no store was sealed with it yet (`ring` is None).

        Raises StoreError for a missing file, another store's, and a KEK that does not fit.
        """
        if self._ring is None:
            _cipher()
            if not self.path.exists() or not self.path.stat().st_size:
                if ring is not None:
                    raise self._problem(
                        f"there is no key file {self.path}, and the store is sealed with keyring {ring}: name the file it was"
                        " written with, or bring it back from its backup"
                    )
                self._make()
            self._ring = self._checked()
        if ring is not None and ring != self._ring:
            raise self._problem(f"the store is sealed with keyring {ring}, and this file is {self._ring}: name the other one")
        return self._ring

    def _make(self) -> None:
        wrap = self._kek()
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise self._problem(f"the key file cannot be made ({error.strerror}): does its directory exist?") from None
        with self._file() as file, file:
            if not file.execute("SELECT count(*) FROM sqlite_schema").get:
                ring = os.urandom(8).hex()
                proof = None if wrap is None else wrap.seal(ring.encode(), b"ring")
                file.execute(_SCHEMA)
                file.execute("INSERT INTO ring VALUES (1, ?, ?, ?)", (ring, _now_ms(), proof))
                file.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        handle = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _checked(self) -> str:
        with self._file() as file:
            if file.pragma("application_id") != _APPLICATION_ID:
                raise self._problem("it is no key file of Remit's: name another one")
            ring, proof = file.execute("SELECT id, proof FROM ring").get
        self._wrap = self._kek()
        if proof is None and self._wrap is not None:
            raise self._problem("its keys were made without a KEK: leave the KEK out")
        if proof is not None and self._wrap is None:
            raise self._problem('its keys are sealed with a KEK: say where it is, kek="env:NAME" or REMIT_KEK')
        if proof is not None and self._wrap is not None and self._wrap.open(proof, b"ring") is None:
            raise self._problem(f"the KEK in {self._kek_from} is not the one its keys were sealed with")
        return str(ring)

    def _kek(self) -> Cipher | None:
        """The cipher of the KEK; None where there is none."""
        if self._kek_from is None:
            return None
        kind, _, name = self._kek_from.partition(":")
        if kind == "env":
            text = os.environ.get(name)
            if text is None:
                raise self._problem(f"there is no environment variable {name} that holds the KEK")
        elif kind == "file":
            try:
                text = Path(name).read_text("ascii")
            except (OSError, UnicodeDecodeError) as error:
                raise self._problem(f"the KEK cannot be read from {name} ({error})") from None
        else:
            raise self._problem(f'kek={self._kek_from!r}: write "env:NAME" or "file:PATH"')
        return _cipher()(self._key_of(text.strip()))

    def _key_of(self, text: str) -> bytes:
        try:
            key = bytes.fromhex(text) if len(text) == 2 * _KEY_BYTES else base64.b64decode(text, validate=True)
        except (ValueError, binascii.Error):
            key = b""
        if len(key) != _KEY_BYTES:
            raise self._problem(
                f"the KEK in {self._kek_from} is not {_KEY_BYTES} bytes in base64 or hex: `openssl rand -base64 32` makes one"
            )
        return key

    @contextmanager
    def _file(self) -> Iterator[apsw.Connection]:
        """One connection for one piece of work: rare, since what was read stays in memory. Whatever is deleted is overwritten."""
        connection = None
        try:
            connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
            connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            connection.execute("PRAGMA secure_delete = ON; PRAGMA synchronous = EXTRA")
            yield connection
        except apsw.Error as error:
            raise self._problem(f"the key file cannot be used ({error})") from error
        finally:
            if connection is not None:
                connection.close()

    def _problem(self, message: str) -> StoreError:
        return StoreError(f"{self.path}: {message}", code="keyring_unusable", path=str(self.path))

    # -- sealing ------------------------------------------------------------------------------------------------------

    def seal(self, tenant: str, plain: bytes, identity: bytes) -> bytes:
        """The payload, sealed with the tenant's newest key; the first one of a tenant is made durable first."""
        key_id, cipher = self._current.get(tenant) or self._newest(tenant)
        return b"".join((SEALED, key_id, cipher.seal(plain, identity)))

    def unseal(self, sealed: bytes, identity: bytes) -> bytes | None:
        """The payload; None where its key was destroyed. Raises StoreError for an unknown key, a payload of another row."""
        key_id = sealed[1 : 1 + _ID_BYTES]
        cipher = self._known[key_id] if key_id in self._known else self._read(key_id)
        if cipher is None:
            return None
        found = cipher.open(sealed[1 + _ID_BYTES :], identity)
        if found is None:
            raise StoreError(
                f"A sealed payload ({identity.decode('utf-8', 'replace')!r}) was changed, or moved from another row: restore a backup",
                code="payload_damaged",
            )
        return found

    def _newest(self, tenant: str) -> tuple[bytes, Cipher]:
        with self._file() as file, file:
            row = file.execute(
                "SELECT id, key FROM keys WHERE tenant = ? AND key IS NOT NULL ORDER BY n DESC LIMIT 1", (tenant,)
            ).fetchone()
            key_id = row[0] if row is not None else self._add(file, tenant)
            stored = row[1] if row is not None else file.execute("SELECT key FROM keys WHERE id = ?", (key_id,)).get
        self._current[tenant] = key_id, self._unwrapped(key_id, stored)
        return self._current[tenant]

    def _add(self, file: apsw.Connection, tenant: str) -> bytes:
        key_id, key = os.urandom(_ID_BYTES), os.urandom(_KEY_BYTES)
        stored = key if self._wrap is None else self._wrap.seal(key, key_id)
        file.execute("INSERT INTO keys (id, tenant, key, made_at) VALUES (?, ?, ?, ?)", (key_id, tenant, stored, _now_ms()))
        return key_id

    def _unwrapped(self, key_id: bytes, stored: bytes) -> Cipher:
        key = stored if self._wrap is None else self._wrap.open(stored, key_id)
        if key is None:
            raise self._problem(f"key {key_id.hex()} does not open with the KEK in {self._kek_from}: bring the file back from its backup")
        self._known[key_id] = cipher = _cipher()(key)
        return cipher

    def _read(self, key_id: bytes) -> Cipher | None:
        """The cipher of a key, None where it was destroyed."""
        with self._file() as file:
            row = file.execute("SELECT key FROM keys WHERE id = ?", (key_id,)).fetchone()
        if row is None:
            raise StoreError(
                f"A payload is sealed with key {key_id.hex()}, which {self.path} does not hold: bring back a newer copy of the file",
                code="key_missing",
                path=str(self.path),
            )
        if row[0] is None:
            self._known[key_id] = None
            return None
        return self._unwrapped(key_id, row[0])

    # -- what operators do --------------------------------------------------------------------------------------------

    def rotate(self, tenant: str) -> KeyInfo:
        """Give the tenant a new key: what is sealed from now on is sealed with it, and older payloads stay readable."""
        if tenant and len(tenant) > 500:
            raise MisuseError(f"tenant={tenant[:40]!r}: give its name", code="invalid_input")
        with self._file() as file, file:
            key_id = self._add(file, tenant)
        self._current.pop(tenant, None)
        return next(each for each in self.keys(tenant) if each.id == key_id.hex())

    def mark(self, tenant: str) -> int:
        """How far the tenant's keys have come: `destroy` takes those up to here, and none that is made later."""
        with self._file() as file:
            return int(file.execute("SELECT coalesce(max(n), 0) FROM keys WHERE tenant = ?", (tenant,)).get)

    def destroy(self, tenant: str, mark: int) -> int:
        """Destroy the tenant's keys up to a mark, durably; how many there were. What they sealed is erased (L53)."""
        with self._file() as file:
            with file:
                rows: list[Any] = file.execute(
                    "SELECT id FROM keys WHERE tenant = ? AND key IS NOT NULL AND n <= ?", (tenant, mark)
                ).fetchall()
                for (key_id,) in rows:
                    file.execute("UPDATE keys SET key = NULL, destroyed_at = ? WHERE id = ?", (_now_ms(), key_id))
            file.execute("VACUUM")  # also on resumption: the last try may have ended between the two
        self._current.pop(tenant, None)
        self._known.update((key_id, None) for (key_id,) in rows)
        return len(rows)

    def keys(self, tenant: str | None = None) -> list[KeyInfo]:
        """The keys of a tenant ('' for none), or all, oldest first."""
        query = "SELECT id, tenant, made_at, destroyed_at FROM keys WHERE (?1 IS NULL OR tenant = ?1) ORDER BY n"
        with self._file() as file:
            rows: list[Any] = file.execute(query, (tenant,)).fetchall()
        return [KeyInfo(key_id.hex(), whose, made_at, destroyed_at) for key_id, whose, made_at, destroyed_at in rows]


def _cipher() -> type[Cipher]:
    """AES-256-GCM; raises StoreError where the extra is not installed."""
    try:
        from remit.store.aes import Cipher
    except ImportError:
        raise StoreError(
            "Encryption needs the extra `encryption`: pip install 'remit[encryption]'", code="keyring_unusable"
        ) from None
    return Cipher


def _now_ms() -> int:
    return int(time.time() * 1_000)
