"""Sending one HTTP request, and what its response means: a value, or an error of the right class (L16, L17)."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from email.message import Message
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import httpx

from remit.engine.values.seam import MAX_VALUE_BYTES, Seam, SeamError, canonical
from remit.errors import DomainError, LimitExceeded, RemitError, TransientError
from remit.workflows.http.access import HttpAccess
from remit.workflows.http.addresses import Refused, addresses_of
from remit.workflows.http.requests import Request, told

__all__ = ["PARTS", "send"]

PARTS = ("status_code", "headers", "body")
"""What a response gives; a step's `includes` chooses among them."""
_EXCERPT_BYTES = 2_000
_SECRET_CHARS_MIN = 6
"""A shorter secret is part of too many words to be looked for in a response."""
_PORTS = {"http": 80, "https": 443}
_TEXTUAL = ("text/", "application/xml", "application/javascript", "application/x-www-form-urlencoded")


@cache
def _kept() -> Seam[Any]:
    """The border that a response crosses; made when it is first needed, since making a seam loads most of pydantic."""
    return Seam(Any, where="an HTTP response")


@cache
def _certificates() -> ssl.SSLContext:
    """Those that httpx trusts, or those that SSL_CERT_FILE and SSL_CERT_DIR name; reading them takes tens of milliseconds."""
    return httpx.create_ssl_context()


async def send(request: Request, access: HttpAccess, includes: Sequence[str] = ()) -> dict[str, Any]:
    """Send a request once and read its response: the parts that `includes` names, all where it names none.

    Redirects are not followed; proxies of the environment are ignored. Raises Refused before anything is sent, TransientError
    `http_unavailable` (nobody there, 429, 5xx), DomainError `http_status`, `http_certificate`, `http_response`, LimitExceeded.
    """
    hide = _Hider(request, access)
    try:
        async with _answered(request, access) as response:
            taken: dict[str, Any] = hide.in_value(await _taken(response, request.method, includes or PARTS))
            return taken
    except httpx.TransportError as error:
        raise _unanswered(request, hide, error) from None
    except RemitError as error:
        hide.in_error(error)
        raise


def _unanswered(request: Request, hide: _Hider, error: httpx.TransportError) -> RemitError:
    named = f"{request.method} {request.url.shown()}"
    certificate = _certificate_error(error)
    if certificate is not None:
        message = f"{named}: the server's certificate is not trusted ({certificate.verify_message})"
        return DomainError(hide.in_text(message), code="http_certificate")
    message = f"{named}: no answer ({type(error).__name__}: {error})"
    return TransientError(hide.in_text(message), code="http_unavailable")


@asynccontextmanager
async def _answered(request: Request, access: HttpAccess) -> AsyncIterator[httpx.Response]:
    """The response to a request that is sent to an address that was judged."""
    url, host = _place(request, access)
    addresses = await addresses_of(host, url.port or _PORTS[url.scheme], access.hosts)
    headers, content = _written(request, access)
    headers["Host"] = url.netloc
    verify: ssl.SSLContext | bool = False
    if url.scheme == "https":
        verify = await asyncio.to_thread(_certificates)
    async with httpx.AsyncHTTPTransport(verify=verify, trust_env=False) as transport:
        tries = [
            httpx.Request(
                request.method,
                url.copy_with(host=address),
                headers=[(name.encode(), value) for name, value in headers.items()],
                content=content,
                extensions={"sni_hostname": host},
            )
            for address in addresses
        ]
        response = await _first_answer(transport, tries)
        try:
            yield response
        finally:
            await response.aclose()


def _place(request: Request, access: HttpAccess) -> tuple[httpx.URL, str]:
    """The URL and its host; raises Refused."""
    try:
        url = httpx.URL(request.url.told(access))
        host = url.raw_host.decode("ascii").strip("[]")
    except (httpx.InvalidURL, ValueError) as error:
        raise Refused(f"{request.url.shown()} is no URL ({error})") from None
    if url.scheme not in _PORTS or not host:
        raise Refused(f"{request.url.shown()} is no http or https URL with a host")
    if url.userinfo:
        raise Refused(f"{request.url.shown()} holds a user or a password: give them in a header")
    return url, host


async def _first_answer(transport: httpx.AsyncHTTPTransport, tries: Sequence[httpx.Request]) -> httpx.Response:
    """Where a name has several addresses, the first that can be connected to."""
    for there in tries[:-1]:
        try:
            return await transport.handle_async_request(there)
        except httpx.ConnectError as error:
            if _certificate_error(error) is not None:
                raise
    return await transport.handle_async_request(tries[-1])


def _written(request: Request, access: HttpAccess) -> tuple[dict[str, bytes], bytes]:
    """Headers and body as bytes."""
    headers = {name: text.told(access).strip().encode() for name, text in request.headers.items()}
    given = {name.lower(): value for name, value in headers.items()}
    body = told(request.body, access)
    headers["Accept-Encoding"] = b"identity"  # a compressed response has no size until it is unpacked
    if body is None:
        return headers, b""
    kind = given.get("content-type", b"").partition(b";")[0].strip().lower()
    if isinstance(body, str):
        content, default = body.encode(), b"text/plain; charset=utf-8"
    elif kind == b"application/x-www-form-urlencoded" and isinstance(body, Mapping):
        content, default = urlencode(body, doseq=True).encode(), kind
    else:
        content, default = canonical(body, "the body of an HTTP request"), b"application/json"
    if not kind:
        headers["Content-Type"] = default
    return headers, content


# -- responses --------------------------------------------------------------------------------------------------------


async def _taken(response: httpx.Response, method: str, includes: Sequence[str]) -> dict[str, Any]:
    status = response.status_code
    if not 200 <= status <= 299:
        raise await _failure(response)
    content = await _read(response, MAX_VALUE_BYTES) if "body" in includes and method != "HEAD" else b""
    if len(content) > MAX_VALUE_BYTES:
        raise LimitExceeded(
            f"The response has more than {MAX_VALUE_BYTES:,} bytes. Fetch large data in a step of its own, and keep a reference.",
            limit_bytes=MAX_VALUE_BYTES,
        )
    parts: dict[str, Any] = {"status_code": status, "headers": _headers(response)}
    parts["body"] = _body(content, response.headers) if content else None
    wanted = {name: parts[name] for name in PARTS if name in includes}
    try:
        _kept().cross(wanted)
    except SeamError as error:
        raise DomainError(f"The response cannot be kept: {error}", code="http_response") from None
    return wanted


def _headers(response: httpx.Response) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.multi_items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _read(response: httpx.Response, most: int) -> bytes:
    """The response's bytes, and no more of them than one chunk beyond `most`."""
    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > most:
            break
    return content


async def _failure(response: httpx.Response) -> RemitError:
    """What a status other than 2xx is: with the beginning of what the server said."""
    status = response.status_code
    excerpt = (await _read(response, _EXCERPT_BYTES))[:_EXCERPT_BYTES].decode("utf-8", "replace")
    details: dict[str, Any] = {"status": status, "body": excerpt}
    for name in ("retry-after", "location"):
        if name in response.headers:
            details[name.replace("-", "_")] = response.headers[name][:500]
    message = f"The server answered {status} {response.reason_phrase}".rstrip()
    if status == 429 or status >= 500:
        return TransientError(message, code="http_unavailable", details=details)
    hint = "; redirects are not followed" if 300 <= status <= 399 else ""
    return DomainError(f"{message}{hint}", code="http_status", details=details)


def _body(content: bytes, headers: httpx.Headers) -> Any:
    """The body by its content type: JSON as data, text as text."""
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise DomainError("The response is compressed, which was not asked for", code="http_response")
    message = Message()
    message["content-type"] = headers.get("content-type", "text/plain")
    kind, charset = message.get_content_type(), str(message.get_param("charset", "utf-8"))
    try:
        if kind == "application/json" or kind.endswith("+json"):
            return json.loads(content, parse_constant=_no_number)
        return content.decode(charset if kind.startswith(_TEXTUAL) else "utf-8")
    except (ValueError, LookupError, RecursionError) as error:
        shown = content[:_EXCERPT_BYTES].decode("utf-8", "replace")
        raise DomainError(
            f"The response says it is {kind} and cannot be read as such ({type(error).__name__})",
            code="http_response",
            details={"body": shown},
        ) from None


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _certificate_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, ssl.SSLCertVerificationError):
            return current
        current = current.__cause__ or current.__context__
    return None


# -- secrets ----------------------------------------------------------------------------------------------------------


def _spellings(value: str) -> tuple[str, ...]:
    """A secret as it may come back: as it is, in a URL, in a form, inside JSON, in a header read byte by byte."""
    read_by_byte = value.encode().decode("latin-1")
    return value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1], read_by_byte


class _Hider:
    """Takes the secrets of a request out of what comes back: servers echo what they were sent."""

    def __init__(self, request: Request, access: HttpAccess) -> None:
        values = {value for value in request.secrets(access) if len(value) >= _SECRET_CHARS_MIN}
        self._spelled = sorted({each for value in values for each in _spellings(value)}, key=len, reverse=True)

    def in_text(self, text: str) -> str:
        for spelling in self._spelled:
            text = text.replace(spelling, "[redacted]")
        return text

    def in_value(self, value: Any) -> Any:
        if not self._spelled:
            return value
        if isinstance(value, str):
            return self.in_text(value)
        if isinstance(value, dict):
            return {self.in_text(key): self.in_value(item) for key, item in value.items()}
        return [self.in_value(item) for item in value] if isinstance(value, list) else value

    def in_error(self, error: RemitError) -> None:
        if self._spelled:
            error.message, error.details = self.in_text(error.message), self.in_value(error.details)
            error.args = (error.message,)
