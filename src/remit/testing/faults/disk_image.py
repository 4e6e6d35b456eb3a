"""The disks that may be found after a power cut: all that was synced, and some of what was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from remit.testing.faults import disk_log
from remit.testing.faults.disk_log import Create, Delete, DirectorySync, DiskLog, Sync, Truncate, Write
from remit.testing.faults.survival import Survival, survivors

__all__ = ["Cut", "Disk", "Image", "images", "spread_cuts"]


@dataclass(frozen=True, slots=True)
class Cut:
    """The power fails after the first `point` operations; `seed` decides which unsynced ones survive."""

    point: int
    survival: Survival
    seed: int


@dataclass(frozen=True, slots=True)
class Image:
    """A disk after a cut, written to `directory`, and what had been acknowledged before the cut."""

    cut: Cut
    directory: Path
    acknowledged: list[object]


@dataclass(slots=True)
class Disk:
    """A disk at a point of a log: durable files and names, and the operations still in flight."""

    log: DiskLog
    point: int = 0
    files: dict[int, bytearray] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    flying: list[Write | Truncate] = field(default_factory=list)
    flying_names: list[Create | Delete] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, (inode, content) in self.log.baseline.items():
            self.names[name] = inode
            self.files[inode] = bytearray(content)

    def advance(self, point: int) -> None:
        """Performs the log's operations up to `point`; ValueError for one behind or beyond."""
        if not self.point <= point <= len(self.log):
            raise ValueError(f"cut points must ascend: {point} after {self.point} in a log of {len(self.log)}")
        for operation in self.log.operations[self.point : point]:
            self._perform(operation)
        self.point = point

    def after(self, cut: Cut) -> dict[str, bytes | bytearray]:
        """The files by name if the power fails now as `cut` says; the disk itself stays as it is."""
        random = Random(cut.seed)  # noqa: S311 - a seed must give the same disk again
        names = dict(self.names)
        if cut.survival is not Survival.DROPPED:
            # Names change in the order of the file system's journal, so a beginning of them survives.
            for change in self.flying_names[: random.randint(0, len(self.flying_names))]:
                _rename(names, change)
        surviving = survivors(self.flying, cut.survival, random)
        files = dict(self.files)
        for inode in {each.inode for each in surviving}:
            files[inode] = bytearray(files.get(inode, b""))
        for each in surviving:
            _apply(files[each.inode], each)
        return {name: files.get(inode, b"") for name, inode in names.items()}

    def _perform(self, operation: disk_log.DiskOperation) -> None:
        match operation:
            case Write() | Truncate():
                self.flying.append(operation)
            case Create() | Delete():
                self.flying_names.append(operation)
            case Sync(inode):
                self._settle(inode)
            case DirectorySync():
                for change in self.flying_names:
                    _rename(self.names, change)
                self.flying_names.clear()

    def _settle(self, inode: int) -> None:
        file = self.files.setdefault(inode, bytearray())
        for each in self.flying:
            if each.inode == inode:
                _apply(file, each)
        self.flying = [each for each in self.flying if each.inode != inode]


def images(log: DiskLog, cuts: Iterable[Cut], directory: Path) -> Iterator[Image]:
    """Yields the disk after every cut in turn, each written over the one before it in `directory`.

    The cuts' points must ascend. A normal open of the database file recovers it, and may change the files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    disk = Disk(log)
    for cut in cuts:
        disk.advance(cut.point)
        _write_files(directory, disk.after(cut))
        yield Image(cut, directory, log.marks_until(cut.point))


def spread_cuts(log: DiskLog, count: int, seed: int, *, start: int = 0) -> list[Cut]:
    """`count` cuts, evenly over the log from `start`, the ways of surviving in turn, all from `seed`."""
    random = Random(seed)  # noqa: S311 - see Disk.after
    points = len(log) - start + 1
    ways = list(Survival)
    return [
        Cut(start + int(points * (n + random.random()) / count), ways[n % len(ways)], random.getrandbits(32))
        for n in range(count)
    ]


def _apply(file: bytearray, operation: Write | Truncate) -> None:
    if isinstance(operation, Truncate):
        del file[operation.size :]
        file.extend(bytes(operation.size - len(file)))
        return
    file.extend(bytes(max(0, operation.offset - len(file))))
    file[operation.offset : operation.offset + len(operation.data)] = operation.data


def _rename(names: dict[str, int], change: Create | Delete) -> None:
    if isinstance(change, Create):
        names[change.name] = change.inode
    else:
        names.pop(change.name, None)


def _write_files(directory: Path, files: dict[str, bytes | bytearray]) -> None:
    for stale in directory.iterdir():
        stale.unlink()
    for name, content in files.items():
        path = directory / name
        path.touch(mode=0o600)
        path.write_bytes(content)
