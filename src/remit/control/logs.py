"""Every log line inside an execution carries its trace context, and no secret, without the author doing anything (L30)."""

from __future__ import annotations

import logging
import os
from typing import Any

from remit.engine.body.port import PORT
from remit.engine.values.redaction import redact

__all__ = ["CONTEXT_FIELDS", "carry_trace_context"]

CONTEXT_FIELDS = ("trace_id", "execution_id", "depth", "process", "tenant", "attempt")
_EMPTY = dict.fromkeys(CONTEXT_FIELDS)


class _ProcessName(str):
    """A process's name where logging has the pid: '%(process)s' gives the name, and '%(process)d' the pid as ever."""

    __slots__ = ()

    def __int__(self) -> int:
        return os.getpid()


def carry_trace_context() -> None:
    """Give every log record of this program the fields `trace_id`, `execution_id`, `depth`, `process`, `tenant`, `attempt`.

    They are None outside an execution; inside one the message is redacted. Formatters may name the fields, and a
    formatter that prints `extra` fields shows them by itself.
    """
    before = logging.getLogRecordFactory()
    if getattr(before, "carries_trace_context", False):
        return

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        port = PORT.get()
        if port is None:
            record.__dict__.update(_EMPTY)
            return record
        who = port.identity
        record.trace_id = who.trace_id
        record.execution_id = who.execution_id
        record.depth = who.execution_id.count(".")
        record.process = _ProcessName(who.process)  # type: ignore[assignment]  # logging puts the pid there
        record.tenant = who.tenant
        record.attempt = who.attempt
        try:
            record.msg, record.args = redact(record.getMessage()), ()
        except (
            TypeError,
            ValueError,
            KeyError,
        ):  # a line that does not fit its format: its handler reports that, as always
            return record
        return record

    make.carries_trace_context = True  # type: ignore[attr-defined]  # so that a second app does not wrap it again
    logging.setLogRecordFactory(make)
