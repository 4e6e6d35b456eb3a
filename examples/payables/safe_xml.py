"""XML read without trust: no DOCTYPE, no entities, bounded size and depth; every node knows its own path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from .refusal import Refused

__all__ = ["MAX_BYTES", "Node", "parse_xml"]

MAX_BYTES = 20 * 1024 * 1024  # room for embedded attachments
MAX_DEPTH = 60
MAX_NODES = 200_000

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
_PREFIXES = {
    f"{_UBL}CommonAggregateComponents-2": "cac:",
    f"{_UBL}CommonBasicComponents-2": "cbc:",
    f"{_UBL}CommonExtensionComponents-2": "ext:",
}
_ROOTS = {f"{_UBL}Invoice-2}}Invoice": "Invoice", f"{_UBL}CreditNote-2}}CreditNote": "CreditNote"}


@dataclass(slots=True, eq=False)
class Node:
    """An element under its canonical name (`cbc:ID` whatever prefix the file uses)."""

    name: str
    attributes: dict[str, str]
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The character data directly inside, without the white space around it."""
        return "".join(self.chunks).strip(" \t\r\n")

    @property
    def path(self) -> str:
        """Where the element stands, such as `/Invoice/cac:InvoiceLine[2]/cbc:ID`."""
        if self.parent is None:
            return f"/{self.name}"
        same = [child for child in self.parent.children if child.name == self.name]
        index = f"[{same.index(self) + 1}]" if len(same) > 1 else ""
        return f"{self.parent.path}/{self.name}{index}"

    def all(self, path: str) -> Iterator[Node]:
        """Every node below along names such as `cac:Party/cac:PartyName`."""
        name, _, rest = path.partition("/")
        for child in self.children:
            if child.name == name:
                if rest:
                    yield from child.all(rest)
                else:
                    yield child

    def first(self, path: str) -> Node | None:
        """The first node along the path that is there."""
        return next(self.all(path), None)

    def value(self, path: str) -> str:
        """The first text along the path that is not empty, else an empty string."""
        return next((node.text for node in self.all(path) if node.text), "")


def parse_xml(content: bytes) -> Node:
    """The root of a document; raises Refused (`not_xml`, `unsafe_xml`, `too_large`) and nothing else."""
    if len(content) > MAX_BYTES:
        raise Refused(
            "too_large",
            "/",
            f"the file has {len(content):,} bytes, at most {MAX_BYTES:,} are read",
            "Send large attachments by reference (cac:ExternalReference)",
        )
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        where = f"line {parser.CurrentLineNumber}, column {parser.CurrentColumnNumber + 1}"
        raise Refused(
            "not_xml",
            f"{builder.path} ({where})",
            f"the file is not well-formed XML: {error}",
            "Send the invoice again, unaltered, as XML in UTF-8",
        ) from error
    return builder.root


class _Builder:
    """Collects expat's events into nodes."""

    def __init__(self) -> None:
        self.document = Node("", {})
        self.current = self.document
        self.depth = 0
        self.nodes = 0

    @property
    def root(self) -> Node:
        root = self.document.children[0]
        root.parent = None
        return root

    @property
    def path(self) -> str:
        return self.current.path.removeprefix("/") or "/"

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise Refused(
                "too_large",
                self.path,
                f"more than {MAX_DEPTH} levels or {MAX_NODES:,} elements",
                "Split the invoice into several",
            )
        node = Node(_canonical(name), attributes, self.current)
        self.current.children.append(node)
        self.current = node

    def end(self, _name: str) -> None:
        self.depth -= 1
        self.current = self.current.parent or self.document

    def data(self, text: str) -> None:
        self.current.chunks.append(text)


def _canonical(name: str) -> str:
    namespace, _, local = name.rpartition("}")
    if name in _ROOTS:
        return _ROOTS[name]
    if namespace in _PREFIXES:
        return _PREFIXES[namespace] + local
    bare = not namespace and local not in _ROOTS.values()  # an Invoice in no namespace is not UBL's
    return local if bare else f"{{{namespace}}}{local}"


def _refuse_doctype(name: str, *_ids: object) -> None:
    raise Refused(
        "unsafe_xml",
        f"/{name}",
        "the file has a DOCTYPE, which UBL does not use and which can declare entities",
        "Send the invoice without a DOCTYPE",
    )
