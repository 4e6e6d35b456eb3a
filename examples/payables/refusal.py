"""Why a document is not paid: one value that names the element at fault and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Refusal", "Refused"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason not to pay: a stable `code`, the `element` as a path, the `problem`, and how to `mend` it."""

    code: str
    element: str
    problem: str
    mend: str

    @property
    def text(self) -> str:
        """The reason as one line for people."""
        return f"{self.element}: {self.problem}. {self.mend}."


class Refused(Exception):
    """A document must not be paid as it stands; `refusal` says why."""

    def __init__(self, code: str, element: str, problem: str, mend: str) -> None:
        self.refusal = Refusal(code, element, problem, mend)
        super().__init__(self.refusal.text)
