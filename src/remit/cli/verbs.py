"""The verbs and their homes. A verb's file is imported when the verb is named, so that a start costs what that one needs."""

from __future__ import annotations

from collections import UserDict
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

__all__ = ["PANELS", "Verbs"]

PANELS = {
    "Run": {
        "run": "remit.cli.run",
        "check": "remit.cli.check",
        "contract": "remit.cli.contract",
    },
    "Look": {
        "tree": "remit.cli.look",
        "show": "remit.cli.look",
        "journal": "remit.cli.look",
        "lineage": "remit.cli.look",
        "ps": "remit.cli.look",
        "schedules": "remit.cli.schedules",
        "costs": "remit.cli.costs",
        "alerts": "remit.cli.keeping",
    },
    "Command": {
        "answer": "remit.cli.command",
        "send": "remit.cli.command",
        "cancel": "remit.cli.command",
        "retry": "remit.cli.command",
        "top-up": "remit.cli.command",
        "ack": "remit.cli.keeping",
        "budget": "remit.cli.budget",
    },
    "Versions": {
        "publish": "remit.cli.registry",
        "versions": "remit.cli.registry",
        "callers": "remit.cli.registry",
        "declare": "remit.cli.registry",
        "evaluate": "remit.cli.evaluate",
        "evaluations": "remit.cli.evaluate",
        "require": "remit.cli.evaluate",
        "promote": "remit.cli.registry",
        "rollout": "remit.cli.registry",
        "rollback": "remit.cli.registry",
        "deprecate": "remit.cli.registry",
        "retire": "remit.cli.registry",
        "policy": "remit.cli.policy",
        "webhooks": "remit.cli.webhooks",
    },
    "Keep": {
        "backup": "remit.cli.backup",
        "restore": "remit.cli.backup",
        "migrate": "remit.cli.backup",
        "doctor": "remit.cli.doctor",
        "explain": "remit.cli.explain",
        "erase": "remit.cli.keeping",
        "audit": "remit.cli.audit",
        "retention": "remit.cli.keeping",
        "keys": "remit.cli.keeping",
    },
}
"""The panels of `remit --help`: each verb, or group of verbs, and the module that has it under that name."""


class Verbs(TyperGroup):
    """The group of all verbs."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands({verb: (panel, home) for panel, verbs in PANELS.items() for verb, home in verbs.items()})


class _Commands(UserDict[str, Any]):
    """Typer's commands by name; a pair of panel and home becomes the command when it is first looked at."""

    def __getitem__(self, verb: str) -> Any:
        found = self.data[verb]
        if isinstance(found, tuple):
            found = self.data[verb] = _command(verb, *found)
        return found


def _command(verb: str, panel: str, home: str) -> Any:
    written = getattr(import_module(home), verb.replace("-", "_"))
    around = typer.Typer(pretty_exceptions_enable=False)
    if isinstance(written, typer.Typer):
        around.add_typer(written, rich_help_panel=panel)
    else:
        around.command(verb, rich_help_panel=panel)(written)
    return get_group(around).commands[verb]
