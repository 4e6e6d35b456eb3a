"""Expressions made by chance for the fuzz: well formed by the grammar, damaged, or nothing but noise; and a hostile state."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from random import Random
from typing import Any

from pydantic import BaseModel, SecretStr

from remit.kernel.expressions.filters import FILTERS

__all__ = ["TOUCHED", "damaged", "grown", "hostile_state", "noise"]

TOUCHED: list[str] = []
"""What a `Sly` value's own code was called for: nothing may ever stand here."""


class Sly:
    """An object that notes whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        TOUCHED.append(name)
        return self

    def _noted(self, *_: Any) -> Any:
        TOUCHED.append("an operator")
        return True

    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __add__ = __radd__ = __contains__ = __call__ = _noted
    __bool__ = __hash__ = __len__ = __iter__ = __getitem__ = __str__ = __repr__ = __index__ = _noted  # type: ignore[assignment]


class Model(BaseModel, extra="allow"):
    a: int = 1
    inner: dict[str, Any] = {}

    @property
    def noted(self) -> int:
        TOUCHED.append("a property")
        return 1


@dataclass(slots=True)
class Slotted:
    a: int = 1


class Kind(Enum):
    A = "a"


def _doubled(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner, inner]
    return inner


def _nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def hostile_state() -> dict[str, Any]:
    """Values of every kind; those from `long` on are as large as they get."""
    return {
        "a": 1,
        "b": 2.5,
        "t": "text",
        "n": None,
        "f": False,
        "d": {"a": {"b": [1, 2]}},
        "l": [1, "a", None],
        "z": 0,
        "dec": Decimal("1.50"),
        "nan": Decimal("sNaN"),
        "inf": float("inf"),
        "day": date(2030, 1, 1),
        "noon": time(12),
        "now": datetime(2030, 1, 1, tzinfo=UTC),
        "span": timedelta(1),
        "id": uuid.UUID(int=7),
        "kind": Kind.A,
        "m": Model(inner={"x": 1}, more=[1]),
        "slotted": Slotted(),
        "sly": Sly(),
        "secret": SecretStr("x"),
        "s": {1, "a"},
        "holder": {"sly": Sly(), "list": [Sly(), 1]},
        "bytes": b"a\xff",
        "surrogate": "\ud800",
        "flag": True,
        "long": "ab" * 524_288,
        "wide": list(range(200_000)),
        "moments": [date(2030, 1, 1)] * 100_000,
        "deep": _nested(5_000),
        "deep2": _nested(5_000),
        "dag": _doubled(60),
        "dag2": _doubled(60),
        "huge": 10**50_000,
        "digits": Decimal("7" * 100_000),
        "exponent": Decimal("1e999999"),
        "texts": ["x" * 100] * 9_000,
        "decimals": [Decimal("1.5")] * 100_000,
        "models": [Model()] * 50_000,
        "keys": dict.fromkeys(map(str, range(50_000))),
    }


_SMALL = "a b t n f d l z dec nan inf day noon now span id kind m slotted sly secret s holder bytes surrogate flag gone".split()  # noqa: SIM905
_LARGE = "long wide moments deep deep2 dag dag2 huge digits exponent texts decimals models keys".split()  # noqa: SIM905
_LITERALS = "0 1 7 2.5 .5 1e3 'a' 'text' '' \"x\" 'it\\'s' '\\u00e9' '2030-01-01' '10m' true False null None [] () {} 12345678901234567890".split()  # noqa: SIM905
_BINARY = ["not in", "is not None and", "| default(1) +", *"+ - * / // % == != < <= > >= in and or".split()]  # noqa: SIM905
_TAILS = [
    ".a",
    ".inner",
    ".b",
    "['a']",
    "[0]",
    "[-1]",
    ".more",
    ".list",
    ".value",
    "[state.z]",
    ".noted",
    ".x.y",
]


def grown(rng: Random, depth: int = 4) -> str:
    """An expression by the grammar; it reads, but need not work out."""
    if depth == 0 or rng.random() < 0.3:
        return _leaf(rng)
    inner = [grown(rng, depth - 1) for _ in range(3)]
    shapes = (
        f"{inner[0]} {rng.choice(_BINARY)} {inner[1]}",
        f"{inner[0]} {rng.choice(_BINARY)} {inner[1]}",
        f"{inner[0]} < {inner[1]} <= {inner[2]}",
        f"({inner[0]}) | {_filter(rng, inner[1])}",
        f"{_leaf(rng)} | {_filter(rng, inner[1])} | {_filter(rng, inner[2])}",
        f"(not {inner[0]})",
        f"-({inner[0]})",
        f"({inner[0]})",
        f"[{', '.join(inner)}]",
        f"{{'a': {inner[0]}, 'b': {inner[1]} }}",
        f"{inner[0]} in {{ {inner[1]}, {inner[2]} }}",
        f"({inner[0]} if ({inner[1]}) else {inner[2]})",
        f"({inner[0]})[{inner[1]}]",
    )
    return rng.choice(shapes)


def _filter(rng: Random, argument: str) -> str:
    name = rng.choice(list(FILTERS))
    if FILTERS[name].required:
        return f"{name}({argument})"
    if FILTERS[name].arguments and rng.random() < 0.5:
        return f"{name}({rng.choice((FILTERS[name].arguments[0] + ' = ', ''))}{argument})"
    return name


def _leaf(rng: Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(_LITERALS)
    name = rng.choice(_LARGE if rng.random() < 0.03 else _SMALL)
    return f"state.{name}" + "".join(rng.choice(_TAILS) for _ in range(rng.choice((0, 0, 0, 1, 1, 2))))


_PIECES = [
    *(
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "{{",
        "}}",
        "'",
        '"',
        "\\",
        "|",
        "||",
        "&&",
        "=",
        "==",
        "!",
        "**",
        "<<",
        "@",
        ":=",
        ";",
    ),
    *(
        "lambda",
        "import os",
        "__import__('os')",
        "().__class__",
        "yield",
        "await",
        "%s",
        "{0.__class__}",
        "f'{x}'",
        "not ",
        "-",
    ),
    *(
        "\x00",
        "\n",
        "\u00a0",
        "\u202e",
        "\ud800",
        "😀",
        "٣",
        "²",
        "ﬁ",
        "\u2018",
        "0x",
        "1_",
        "1e",
        "9" * 120,
        "state",
        "state.",
        "..",
    ),
    *(
        " if ",
        " else ",
        " in ",
        " is ",
        ",",
        ":",
        "#",
        "`",
        "$",
        "~",
        "?",
        "=>",
        "None",
        "default",
        "state.sly",
        "state.dag",
    ),
]


def damaged(rng: Random, text: str) -> str:
    """A text with a few pieces cut, doubled, put in or nested."""
    for _ in range(rng.randint(1, 4)):
        at, to = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        to = min(to, at + rng.choice((1, 3, 20)))
        text = rng.choice((
            text[:at] + text[to:],
            text[:at] + rng.choice(_PIECES) + text[at:],
            text[:at] + rng.choice(_PIECES) * rng.choice((2, 50, 500)) + text[to:],
            text[:to] + text[at:],
            text[at:] + text[:at],
            "(" * 35 + text + ")" * 35,
        ))  # fmt: skip
    return text


def noise(rng: Random) -> str:
    """Pieces and characters in no order."""
    if rng.random() < 0.5:
        return "".join(rng.choice(_PIECES) for _ in range(rng.randint(0, 30)))
    return "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x3000)))) for _ in range(rng.randint(0, 80)))
