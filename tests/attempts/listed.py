"""All attempts, in the order in which the documentation lists them."""

from __future__ import annotations

from tests.attempts import by_code, by_name, by_rule, by_value  # noqa: F401  # each enters its own
from tests.attempts.attempt import ATTEMPTS

__all__ = ["ATTEMPTS", "table"]


def table() -> str:
    """The list as a Markdown table."""
    rows = "".join(
        f"| {each.way} | {each.what} | {_named(each.code) or 'comes to nothing'} | {_named(each.audit) or '—'} |\n"
        for each in sorted(ATTEMPTS, key=lambda each: each.way)
    )
    return f"| By | Attempt | Code | Audit |\n| --- | --- | --- | --- |\n{rows}"


def _named(word: str) -> str:
    return f"`{word}`" if word else ""
