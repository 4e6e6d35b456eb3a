"""Where HTTP steps may connect to: a name is resolved once, its addresses are judged, and one of those is connected to.

Public addresses only, unless the operator lists the host. An address is judged as what it leads to: IPv6 addresses that
hold an IPv4 address (mapped, translated) as that one. Spellings such as 2130706433 or 0x7f.1 are the resolver's
business; what comes out of it is what is judged.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from remit.errors import DefinitionError, DomainError, TransientError
from remit.kernel.usage import Usage

__all__ = ["Hosts", "Refused", "addresses_of", "forbidden"]

_LABELS = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*"
_PATTERN = re.compile(rf"(?P<host>(?:\*\.)?{_LABELS}|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?\Z")

# Not public, whatever the version of Python's own table says: the registries of special-purpose addresses (RFC 6890 and its
# updates), and what clouds serve their machines' secrets from.
_FORBIDDEN_V4 = [
    *map(IPv4Network, ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12")),
    *map(IPv4Network, ("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15")),
    *map(IPv4Network, ("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32")),
]
_PUBLIC_V6 = IPv6Network("2000::/3")
_FORBIDDEN_V6 = [
    *map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
]
_HOLDS_V4 = [IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")]


class Refused(DomainError):
    """A request that is not sent, and so costs nothing."""

    default_code = "http_refused"
    usage = Usage()

    def __init__(self, why: str, **details: Any) -> None:
        super().__init__(f"The request is not sent: {why}", details=details)


def forbidden(address: str) -> bool:
    """Whether an address is not a public one of a single machine; raises ValueError for what is no address."""
    judged = ip_address(address.partition("%")[0])
    if isinstance(judged, IPv6Address) and any(judged in network for network in _HOLDS_V4):
        judged = IPv4Address(int(judged) & 0xFFFF_FFFF)
    if isinstance(judged, IPv4Address):
        return any(judged in network for network in _FORBIDDEN_V4) or not judged.is_global
    if judged not in _PUBLIC_V6 or any(judged in network for network in _FORBIDDEN_V6):
        return True
    return not judged.is_global


class Hosts:
    """The hosts that HTTP steps may reach although they are not public: 'localhost:8080', '*.erp.example', '[::1]'."""

    def __init__(self, listed: Iterable[str] = ()) -> None:
        """Raises DefinitionError. Without a port any is meant; '*.' stands for one name or several before the rest."""
        if isinstance(listed, str):
            raise DefinitionError(f"http_hosts= is a list: write http_hosts=[{listed!r}]")
        self._rules = [_rule(each) for each in listed]

    def allow(self, host: str, port: int) -> bool:
        """Whether the operator lists that host at that port."""
        wanted = _spelled(host)
        parts = "" if _is_address(wanted) else wanted
        return any(
            at in {None, port} and (rule == wanted or (rule.startswith("*.") and parts.endswith(rule[1:])))
            for rule, at in self._rules
        )


def _rule(listed: object) -> tuple[str, int | None]:
    found = _PATTERN.match(listed.lower()) if isinstance(listed, str) else None
    port = int(found["port"]) if found is not None and found["port"] is not None else None
    if found is None or (port is not None and not 0 < port < 65_536):
        raise DefinitionError(
            f"http_hosts: {listed!r} is no host: write 'localhost:8080', 'erp.example', '*.erp.example' or '[::1]:8080'"
        )
    return _spelled(found["host"].strip("[]")), port


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _spelled(host: str) -> str:
    """One spelling of a host: of several of an IPv6 address, and with or without the dot at the end of a name."""
    return str(ip_address(host)) if _is_address(host) else host.lower().removesuffix(".")


async def addresses_of(host: str, port: int, hosts: Hosts) -> list[str]:
    """The addresses to try, in their order; the name is resolved here and never again.

    Raises TransientError where it cannot be resolved, Refused where one of them is forbidden: a name
    that leads to both the public and the inside is on its way in.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TransientError(f"{host} cannot be resolved ({error})", code="http_unavailable", host=host) from None
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    inside = [address for address in addresses if forbidden(address)]
    if inside and not hosts.allow(host, port):
        raise Refused(
            f"{host} leads to {inside[0]}, which is no public address: HTTP steps do not go there. The operator may list it:"
            f" Remit(..., http_hosts=['{host}:{port}']), or --http-host {host}:{port}.",
            host=host,
        )
    return addresses
