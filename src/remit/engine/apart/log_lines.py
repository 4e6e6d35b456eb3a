"""Log lines of a body's own process, handled in the engine's process as if they had been written there (L30)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import orjson

__all__ = ["LogLines", "handle"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FORMATTER = logging.Formatter()


class LogLines(logging.Handler):
    """Sends each line on, formatted, instead of writing it."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self._send = send

    def install(self, level: int) -> None:
        """Be the only handler of this program, from `level` up."""
        root = logging.getLogger()
        root.handlers[:] = [self]
        root.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line; one that cannot be formatted is reported as logging always does."""
        try:
            extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
            self._send(
                {
                    "line": (record.name, record.levelno, record.pathname, record.lineno, record.getMessage()),
                    "function": record.funcName,
                    "created": record.created,
                    "error": _FORMATTER.formatException(record.exc_info) if record.exc_info else None,
                    "extra": orjson.dumps(extra, default=str, option=orjson.OPT_NON_STR_KEYS),
                }
            )
        except Exception:
            self.handleError(record)


def handle(told: dict[str, Any]) -> None:
    """Handle a line here; called in the context of its execution, which it then carries."""
    name, level, *place = told["line"]
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(level):
        return
    record = logger.makeRecord(name, level, place[0], place[1], place[2], (), None, told["function"])
    record.created = told["created"]
    record.exc_text = told["error"]
    for field, value in orjson.loads(told["extra"]).items():
        vars(record).setdefault(field, value)
    logger.handle(record)
