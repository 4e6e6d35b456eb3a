"""Short texts and durations from outside, checked before anything is built on them (L48)."""

from __future__ import annotations

from remit.errors import InvalidInput
from remit.kernel.durations import Duration, milliseconds

__all__ = ["SHORT_MAX", "optional_ms", "optional_text", "short_text", "ttl_of"]

SHORT_MAX = 500


def short_text(value: object, what: str) -> str:
    """The text; raises InvalidInput for anything but 1 to 500 characters that UTF-8 can hold."""
    if (
        isinstance(value, str)
        and 0 < len(value) <= SHORT_MAX
        and not any("\ud800" <= each <= "\udfff" for each in value)
    ):
        return value
    shown = ascii(value[:40] if isinstance(value, str) else value)
    raise InvalidInput(f"{what}={shown}: give a text of 1 to {SHORT_MAX} characters, without halves of surrogate pairs")


def optional_text(value: object, what: str) -> str | None:
    """Like `short_text`; None stays None."""
    return None if value is None else short_text(value, what)


def optional_ms(duration: Duration | None, what: str) -> int | None:
    """A duration in milliseconds, None where there is none; raises InvalidInput."""
    try:
        return None if duration is None else milliseconds(duration)
    except ValueError as error:
        raise InvalidInput(f"{what}: {error}") from None


def ttl_of(duration: Duration | None) -> int | None:
    """A TTL in milliseconds, None where there is none; raises InvalidInput, also for none at all, which would be no limit."""
    found = optional_ms(duration, "ttl")
    if found == 0:
        raise InvalidInput(f"ttl={duration!r}: give a time of at least 1ms")
    return found
