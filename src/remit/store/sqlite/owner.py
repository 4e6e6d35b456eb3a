"""One owner per file: a file lock for the living, a claim with an epoch for the stalled, a fence for both (L21, L23)."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path

import apsw

from remit.errors import StoreOwned
from remit.kernel.lease import CLAIM_MS, claim_lapsed
from remit.store.sqlite.database import Location, explained

__all__ = ["Ownership", "describe_owner"]


def describe_owner() -> str:
    """This process, as another one is told of it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


class Ownership:
    """The right to write executions. Taken at once when the former owner has died, else once its claim has lapsed."""

    def __init__(self, connection: apsw.Connection, location: Location, now_ms: int) -> None:
        self._connection = connection
        self._location = location
        self._lock: int | None = None
        self.epoch = 0
        with explained(location, "take ownership of the store"):
            connection.execute("BEGIN IMMEDIATE")
            try:
                alone = self._try_lock()
                row = connection.execute("SELECT epoch, owner, renewed_at FROM ownership").get
                epoch, owner, renewed_at = row
                if not alone and not claim_lapsed(renewed_at, now_ms):
                    raise StoreOwned(
                        f"{location.path} is driven by {owner or 'another process'}. Stop it, or let the `remit` commands reach it "
                        f"through its inbox. If it hangs, its claim lapses {CLAIM_MS // 1000} s after its last sign of life.",
                        owner=owner,
                        path=location.path,
                    )
                if not alone:
                    self._replace_lock()
                self.epoch = epoch + 1
                connection.execute(
                    "UPDATE ownership SET epoch = ?, owner = ?, renewed_at = ?", (self.epoch, describe_owner(), now_ms)
                )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # some failures of the disk have ended it already
                    connection.execute("ROLLBACK")
                self.release()
                raise

    def _try_lock(self) -> bool:
        """Whether no living process holds the lock file; the kernel drops a dead one's lock."""
        if self._location.in_memory:
            return True
        handle = os.open(self._location.path + ".owner", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock = handle
        return True

    def _replace_lock(self) -> None:
        """A stalled owner keeps the lock of a file that nobody looks at any more, so that its death lets no third one in."""
        fresh = f"{self._location.path}.owner.{os.getpid()}"
        self._lock = os.open(fresh, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        Path(fresh).replace(self._location.path + ".owner")

    def holds(self) -> bool:
        """Whether no other process has taken over; asked inside every transaction that writes."""
        found = self._connection.execute("SELECT epoch FROM ownership").get
        return bool(found == self.epoch)

    def renew(self, now_ms: int) -> None:
        """Show a sign of life."""
        with explained(self._location, "renew the claim"):
            self._connection.execute("UPDATE ownership SET renewed_at = ? WHERE epoch = ?", (now_ms, self.epoch))

    def release(self) -> None:
        """Let go of the file, so that the next one need not wait."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
