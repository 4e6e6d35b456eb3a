"""What an operator gives to HTTP steps: hosts that are not public, secrets, and variables of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from remit.errors import DefinitionError
from remit.workflows.http.addresses import Hosts

__all__ = ["HttpAccess"]

_NAME = re.compile(r"[A-Za-z_]\w{0,199}\Z", re.ASCII)


class HttpAccess:
    """The operator's list: what is not on it, no workflow reaches or reads."""

    __slots__ = ("_values", "hosts")

    def __init__(
        self, hosts: Iterable[str] = (), secrets: Mapping[str, str] | None = None, env: Iterable[str] = ()
    ) -> None:
        """`secrets` are values by name; `env` lists names, whose values are read now. Raises DefinitionError."""
        if isinstance(env, str):
            raise DefinitionError(f"env= is a list of names: write env=[{env!r}]")
        self.hosts = Hosts(hosts)
        self._values = {("secrets", name): _checked("secrets", name, value) for name, value in (secrets or {}).items()}
        self._values |= {("env", name): _checked("env", name, os.environ.get(name)) for name in env}

    def value(self, kind: str, name: str) -> str | None:
        """The value of `secrets.NAME` or `env.NAME`; None where it is not listed."""
        return self._values.get((kind, name))

    def require(self, kind: str, name: str, where: str) -> None:
        """Raise DefinitionError where a name is not listed."""
        if (kind, name) not in self._values:
            there = ", ".join(sorted(known for of, known in self._values if of == kind)) or "none"
            how = (
                f"Remit(..., secrets={{'{name}': ...}}) or --secret"
                if kind == "secrets"
                else f"Remit(..., env=['{name}']) or --env"
            )
            raise DefinitionError(
                f"{where}: {kind}.{name} is not listed; there are: {there}. The operator lists it: {how} {name}"
            )

    def __repr__(self) -> str:
        return f"<HttpAccess {', '.join('.'.join(each) for each in sorted(self._values)) or 'public hosts'}>"


def _checked(kind: str, name: object, value: object) -> str:
    if not isinstance(name, str) or not _NAME.match(name):
        raise DefinitionError(f"{kind}: {name!r} is no name: write letters, digits and '_'")
    if not isinstance(value, str) or not value or not value.isprintable():
        told = "is not set" if value is None else "has no value that a request can carry (printable text)"
        raise DefinitionError(f"{kind}: {name} {told}")
    return value
