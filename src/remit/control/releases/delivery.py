"""Sending one message to one webhook: to an address that was judged, signed, without following redirects."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache

import httpx

from remit.errors import InvalidInput, RemitError
from remit.kernel.webhooks import signature
from remit.store.records import MessageRecord, WebhookRecord
from remit.workflows.http.addresses import Hosts, Refused, addresses_of

__all__ = ["checked_url", "deliver", "may_reach"]

TIMEOUT_S = 10.0
_PORTS = {"http": 80, "https": 443}


def checked_url(text: str, *, private: bool) -> None:
    """Raise InvalidInput for what is no URL that messages may go to."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidInput(f"{text!r} is no URL ({error})") from None
    if url.scheme not in _PORTS or not url.host:
        raise InvalidInput(f"{text!r}: a webhook's URL is https://host/path")
    if url.scheme == "http" and not private:
        raise InvalidInput(f"{text!r}: messages to a public host go over https; `--private` is for a host of your own")
    if url.userinfo or url.fragment:
        raise InvalidInput(f"{text!r} holds a user, a password or a fragment: messages are signed instead")


async def may_reach(text: str, *, private: bool) -> None:
    """Raise InvalidInput where the host leads inside and was not said to; one that cannot be resolved now may be later."""
    try:
        await _addresses(httpx.URL(text), private=private)
    except Refused:
        raise InvalidInput(
            f"{httpx.URL(text).host} leads to an address that is not public: where that is meant, say so with `--private`"
        ) from None
    except RemitError:
        return


async def deliver(webhook: WebhookRecord, message: MessageRecord, timestamp_s: int) -> str | None:
    """Send it; why it was not taken, or None where it was (a status of 2xx)."""
    url = httpx.URL(webhook.url)
    headers = {
        "Host": url.netloc.decode("ascii"),
        "Content-Type": "application/json",
        "User-Agent": "remit",
        "webhook-id": message.id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": signature(webhook.secret, message.id, timestamp_s, message.body),
    }
    try:
        async with asyncio.timeout(TIMEOUT_S):
            address = (await _addresses(url, private=bool(webhook.private)))[0]
            verify: ssl.SSLContext | bool = await asyncio.to_thread(_certificates) if url.scheme == "https" else False
            async with httpx.AsyncHTTPTransport(verify=verify, trust_env=False) as transport:
                request = httpx.Request(
                    "POST",
                    url.copy_with(host=address),
                    headers=headers,
                    content=message.body,
                    extensions={"sni_hostname": url.raw_host.decode("ascii")},
                )
                response = await transport.handle_async_request(request)
                await response.aclose()
    except TimeoutError:
        return f"no answer within {TIMEOUT_S:g} s"
    except (httpx.TransportError, RemitError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None if response.is_success else f"the server answered {response.status_code}"


async def _addresses(url: httpx.URL, *, private: bool) -> list[str]:
    host, port = url.raw_host.decode("ascii").strip("[]"), url.port or _PORTS[url.scheme]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return await addresses_of(host, port, Hosts([place] if private else []))


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()
