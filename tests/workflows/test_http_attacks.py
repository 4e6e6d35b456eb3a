"""What HTTP steps must not be made to do: reach the inside, change hosts, split requests, tell secrets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit import DefinitionError, Remit, TransientError
from remit.workflows.format.model import HttpConfig
from remit.workflows.http.access import HttpAccess
from remit.workflows.http.addresses import Hosts, Refused, addresses_of, forbidden
from remit.workflows.http.requests import Request, RequestTemplate, Text
from remit.workflows.http.sending import send
from tests.workflows.http_server import answer, serving
from tests.workflows.test_http import ended, written

INSIDE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1",
    "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:7f00:1::1", "2001:2::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip
OUTSIDE = ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "192.0.1.1", "223.255.255.255", "::ffff:8.8.8.8",
           "64:ff9b::808:808", "2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1"]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_not_public_is_forbidden(address):
    assert forbidden(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_a_public_address_is_not(address):
    assert not forbidden(address)


URLS = [line for line in (Path(__file__).parent / "attacks.txt").read_text("utf-8").splitlines() if line[0] != "#"]


@pytest.mark.parametrize("url", URLS)
async def test_no_spelling_of_an_inside_address_is_connected_to(url):
    async with serving(answer({})) as server:
        request = Request("GET", Text((url.format(port=server.port),)), {}, None)
        with pytest.raises((Refused, TransientError)) as refused:
            await asyncio.wait_for(send(request, HttpAccess()), 5)
    assert (server.connections, refused.value.code) in {(0, "http_refused"), (0, "http_unavailable")}


@pytest.mark.parametrize("listed", [[], ["127.0.0.1:1"], ["erp.example"], ["*.0.0.1"], ["[::1]"], ["localhost"]])
async def test_a_host_that_is_not_listed_is_refused_whatever_else_is(tmp_path, listed):
    async with serving(answer({})) as server:
        outcome = await ended(written(tmp_path, {"url": server.url}), server, http_hosts=listed)
    assert outcome.error is not None
    assert (outcome.error.error_class, outcome.error.code, server.connections) == ("DOMAIN", "http_refused", 0)
    assert f"http_hosts=['{server.host}']" in outcome.error.message


# --------------------------------------------------------------------------------------------------------- name and address


def _resolving(monkeypatch, *answers):
    """What names lead to, one answer after another; the list of who was asked for."""
    asked = []

    async def getaddrinfo(_loop, host, port, **_more):
        addresses = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(2, 1, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1", "8.8.8.8"], ["fe80::1%eth0"]])
async def test_a_name_that_leads_inside_is_refused_even_where_it_leads_outside_as_well(monkeypatch, addresses):
    _resolving(monkeypatch, addresses)
    with pytest.raises(Refused, match="which is no public address"):
        await addresses_of("rebind.example", 80, Hosts())


async def test_a_name_that_changes_its_mind_between_look_and_use_is_asked_once(tmp_path, monkeypatch):
    asked = _resolving(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    async with serving(answer({})) as server:
        file = written(tmp_path, {"url": f"http://rebind.example:{server.port}/"})
        (await ended(file, server, http_hosts=["rebind.example"])).unwrap()
    assert asked == ["rebind.example"]
    assert server.taken[0].headers["host"] == f"rebind.example:{server.port}"


async def test_a_name_that_leads_nowhere_is_transient(monkeypatch):
    async def getaddrinfo(_loop, host, port, **_more):
        raise OSError("Name or service not known")

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)
    with pytest.raises(TransientError) as unknown:
        await addresses_of("nowhere.example", 80, Hosts())
    assert unknown.value.code == "http_unavailable"


async def test_a_redirect_to_the_inside_is_not_followed(tmp_path):
    async with (
        serving(answer({"secret": 1})) as inside,
        serving(answer({}, 302, Location=f"{inside.url}/latest/meta-data")) as server,
    ):
        outcome = await ended(written(tmp_path, {"url": server.url}), server, http_hosts=[server.host, inside.host])
    assert outcome.error is not None
    assert (outcome.error.code, server.connections, inside.connections) == ("http_status", 1, 0)


@pytest.mark.parametrize(
    ("listed", "host", "port", "allowed"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("127.0.0.1:8080", "127.0.0.1", 80, False),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("ERP.example", "erp.example.", 443, True),
        ("*.erp.example", "a.b.erp.example", 443, True),
        ("*.erp.example:443", "a.erp.example", 80, False),
        ("*.erp.example", "erp.example", 443, False),
        ("*.erp.example", "evil-erp.example", 443, False),
        ("erp.example", "sub.erp.example", 443, False),
        ("[::1]:8080", "::1", 8080, True),
        ("[0:0:0:0:0:0:0:1]", "::1", 8080, True),
        ("pay_service", "pay_service", 8080, True),
    ],
)
def test_what_the_operator_lists_is_what_is_meant(listed, host, port, allowed):
    assert Hosts([listed]).allow(host, port) is allowed


@pytest.mark.parametrize("listed", ["", "*", "*.", "http://erp.example", "erp.example/", "a b", "erp.example:0", "e:99999",
                                    "*.*.example", "[::1", "-", 5, None])  # fmt: skip
def test_what_is_no_host_is_refused_where_it_is_listed(listed):
    with pytest.raises(DefinitionError, match="is no host"):
        Hosts([listed])
    with pytest.raises(DefinitionError, match="is a list"):
        Hosts("erp.example")


# --------------------------------------------------------------------------------------------------------------- templates


@pytest.mark.parametrize(
    "url",
    [
        "{{state.url}}",
        "http://{{state.host}}/",
        "http://erp.example{{state.rest}}",
        "http://erp.example:{{state.port}}/",
        "http://erp.example:80{{state.port}}/",
        "http://{{state.user}}@erp.example/",
        "{{state.scheme}}://erp.example/",
        "http:{{state.rest}}",
        "http://erp.{{env.BASE}}/",
        "{{env.BASE}}{{state.rest}}",
        "{{env.BASE}}.evil.example/{{state.rest}}",
        "{{secrets.TOKEN}}/a",
        "http://user:pw@erp.example/{{state.a}}",
        "//erp.example/{{state.a}}",
        "ftp://erp.example/",
        "erp.example/a",
        "http://",
        "http://erp.example/#{{state.a}}",
        "http://erp.example/\r\nHost: evil",
        "http://erp\\@evil.example/",
    ],
)
def test_no_expression_stands_where_scheme_and_host_do(tmp_path, monkeypatch, url):
    monkeypatch.setenv("BASE", "http://erp.example")
    file = written(tmp_path, {"url": url})
    with pytest.raises(DefinitionError, match="`url`"):
        Remit(":memory:", processes=[file], secrets={"TOKEN": "t"}, env=["BASE"])


@pytest.mark.parametrize("base", ["erp.example", "file:///etc", "http://u:p@127.0.0.1", "http://"])
async def test_what_the_operator_s_variable_holds_is_judged_as_well(tmp_path, monkeypatch, base):
    monkeypatch.setenv("BASE", base)
    async with serving(answer({})) as server:
        outcome = await ended(written(tmp_path, {"url": "{{env.BASE}}/a"}), server, env=["BASE"])
    assert outcome.error is not None
    assert (outcome.error.code, server.connections) == ("http_refused", 0)


VALUES = {
    "a/../b": "/v1/a%2F..%2Fb/end",
    "?x=1&y=2#z": "/v1/%3Fx%3D1%26y%3D2%23z/end",
    "@evil.example": "/v1/%40evil.example/end",
    "x HTTP/1.1\r\nHost: evil\r\n\r\n": "/v1/x%20HTTP%2F1.1%0D%0AHost%3A%20evil%0D%0A%0D%0A/end",
    "%2e%2e": "/v1/%252e%252e/end",
    "\\..\\": "/v1/%5C..%5C/end",
    "ä☃": "/v1/%C3%A4%E2%98%83/end",
    "\0": "/v1/%00/end",
    "{{secrets.TOKEN}}": "/v1/%7B%7Bsecrets.TOKEN%7D%7D/end",
}


@pytest.mark.parametrize(("value", "path"), VALUES.items())
async def test_a_value_in_a_url_stays_one_part_of_it(tmp_path, value, path):
    async with serving(answer({})) as server:
        file = written(
            tmp_path, {"url": f"{server.url}/v1/{{{{state.value}}}}/end", "query_params": {"q": "{{state.value}}"}}
        )
        (await ended(file, server, {"value": value}, secrets={"TOKEN": "t0p-secret"})).unwrap()
    (taken,) = server.taken
    assert taken.line == f"GET {path}?q={path[4:-4]} HTTP/1.1"
    assert set(taken.headers) == {"host", "accept-encoding"}


@pytest.mark.parametrize("value", [".", "..", "", None])
async def test_a_value_that_would_make_the_path_another_is_refused(tmp_path, value):
    async with serving(answer({})) as server:
        file = written(tmp_path, {"method": "DELETE", "url": f"{server.url}/orders/{{{{state.value}}}}"})
        outcome = await ended(file, server, {"value": value})
    assert outcome.error is not None
    assert (outcome.error.error_class, server.connections) == ("DOMAIN", 0)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\u2028b"])
async def test_a_header_is_one_line(tmp_path, value):
    async with serving(answer({})) as server:
        file = written(tmp_path, {"url": server.url, "headers": {"X-Id": "id {{state.value}}"}})
        outcome = await ended(file, server, {"value": value})
    assert outcome.error is not None
    assert (outcome.error.code, server.connections) == ("http_refused", 0)


@pytest.mark.parametrize(
    "name", ["Host", "content-length", "Transfer-Encoding", "connection", "TE", "Proxy-Authorization", "X Y", "X:Y", "", "é",
             "X\r\nY", "Accept-Encoding"]
)  # fmt: skip
def test_a_header_that_the_connection_sets_or_that_is_no_name_is_refused_where_it_stands(tmp_path, name):
    file = written(tmp_path, {"url": "http://erp.example/", "headers": {name: "x"}})
    with pytest.raises(DefinitionError, match=r"header"):
        Remit(":memory:", processes=[file])


async def test_a_parameter_that_is_a_mapping_is_refused(tmp_path):
    async with serving(answer({})) as server:
        file = written(tmp_path, {"url": server.url, "query_params": {"q": "{{state.value}}"}})
        outcome = await ended(file, server, {"value": {"a": 1}})
    assert outcome.error is not None
    assert (outcome.error.code, server.connections) == ("http_refused", 0)


_TEXTS = st.text(min_size=1, max_size=30)


@given(_TEXTS, _TEXTS)
def test_whatever_a_state_holds_the_request_goes_to_the_same_host_in_one_piece(value, other):
    config = HttpConfig.model_validate(
        {
            "url": "https://erp.example:8443/a/{{state.value}}/b?c={{state.other}}",
            "query_params": {"q": "{{state.other}}"},
            "headers": {"X-Id": "{{state.value}}"},
        }
    )
    template = RequestTemplate(config, frozenset({"state"}), HttpAccess(), "a test")
    try:
        request = template.fill({"state": {"value": value, "other": other}})
    except (Refused, UnicodeEncodeError):
        return
    url = request.url.shown()
    assert url.startswith("https://erp.example:8443/a/")
    assert url.isascii()
    assert url.isprintable()
    assert " " not in url
    assert (url.count("?"), url.count("/"), url.count("&"), url.count("#"), url.count("@")) == (1, 5, 1, 0, 0)
    assert request.headers["X-Id"].shown().isprintable()
