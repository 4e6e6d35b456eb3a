"""Changes that break nobody, told so that a reader sees all that a new version changes (L41)."""

from __future__ import annotations

from collections.abc import Iterator

from remit.kernel.contract.findings import Finding, Role, change
from remit.kernel.contract.gaps import Form
from remit.kernel.contract.schema import Conjunction, Document, alike
from remit.kernel.contract.shapes import Shape, shapes
from remit.kernel.contract.subset import Comparison
from remit.kernel.contract.words import alternatives

__all__ = ["harmless"]

_LEVELS_MAX = 16
Path = tuple[str, ...]


def harmless(old: Document, new: Document, role: Role) -> Iterator[Finding]:
    """Fields that come and go, and values that a result no longer has or an input takes besides."""
    yield from _Walk(role).changes((old.part(old.root),), (new.part(new.root),), ())
    yield from _values(old, new, role)


def _values(old: Document, new: Document, role: Role) -> Iterator[Finding]:
    """The comparison the other way round."""
    fewer, more = (
        ("may no longer be {}", "callers of the old version are ready for it"),
        (
            "may now also be {}",
            "callers of the old version need not send it",
        ),
    )
    what, why = fewer if role == "result" else more
    given, taken = (old, new.negative) if role == "result" else (new, old)
    for gap in Comparison().gaps((given.part(given.root),), (taken.part(taken.root),)):
        if gap.form is Form.VALUE and gap.certain:
            yield change(gap.path, what.format(alternatives(gap.given)), why)


class _Walk:
    """Both versions side by side, field by field."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self._seen: set[object] = set()

    def changes(self, old: Conjunction, new: Conjunction, path: Path) -> Iterator[Finding]:
        """What becomes of the fields at a place and below it; nothing where there are several kinds of objects."""
        key = tuple(each.key for each in old), tuple(each.key for each in new)
        if key in self._seen or len(path) > _LEVELS_MAX or alike(old, new):
            return
        self._seen.add(key)
        for kind, walk in (("object", self._fields), ("array", self._items)):
            before = [each for each in shapes(old) if each.kind == kind and each.listed is None]
            after = [each for each in shapes(new) if each.kind == kind and each.listed is None]
            if len(before) == len(after) == 1:
                yield from walk(before[0], after[0], path)

    def _items(self, old: Shape, new: Shape, path: Path) -> Iterator[Finding]:
        if not old.places and not new.places:
            yield from self.changes(old.item(0), new.item(0), (*path, "*"))

    def _fields(self, old: Shape, new: Shape, path: Path) -> Iterator[Finding]:
        for name in new.declared:
            here = (*path, name)
            if name not in old.declared:
                yield from self._added(here, required=name in new.required)
            else:
                yield from self._kept(here, was=name in old.required, now=name in new.required)
                yield from self.changes(old.field(name), new.field(name), here)
        for name in old.declared:
            if name not in new.declared:
                yield from self._gone((*path, name), required=name in old.required)

    def _added(self, path: Path, *, required: bool) -> Iterator[Finding]:
        if self.role == "result":
            yield change(path, "is a new field", "callers of the old version do not look at it")
        elif not required:
            yield change(path, "is a new field", "it may be left out")

    def _kept(self, path: Path, *, was: bool, now: bool) -> Iterator[Finding]:
        if self.role == "result" and now and not was:
            yield change(path, "is now always there", "callers of the old version are ready for it")
        elif self.role == "input" and was and not now:
            yield change(path, "may now be left out", "callers of the old version send it all the same")

    def _gone(self, path: Path, *, required: bool) -> Iterator[Finding]:
        if self.role == "input":
            yield change(path, "is no longer looked at", "it may still be sent")
        elif not required:
            yield change(path, "is gone", "callers of the old version could not rely on it")
