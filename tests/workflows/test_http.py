"""HTTP steps: one request as one durable, priced tool call, and errors of the right class by status."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from remit import Budget, DefinitionError, Outcome, Remit
from remit.testing import TestApp
from remit.workflows.http import sending
from tests.laws.scene import open_store, until
from tests.workflows.http_server import CERTIFICATE_AUTHORITY, Server, Taken, answer, serving

TOKEN = "tok-3f9a77c1"


def written(directory: Path, config: Mapping[str, Any], **step: Any) -> Path:
    """A workflow file with one HTTP step; what is no text stands in it as JSON, which is YAML."""
    state = {"type": "object", "properties": {}, "additionalProperties": True}
    steps = [{"name": "Call", "type": "HTTP", "http_config": dict(config), **step}]
    targets = {each.get("target_step") for each in step.values() if isinstance(each, dict)} - {None}
    steps += [{"name": target, "type": "JUMP", "target_step": "End"} for target in targets]
    steps.append({"name": "End", "type": "WAIT", "duration": 0})
    path = directory / "call.yaml"
    path.write_text(json.dumps({"workflow_type": "Calls", "initial_state_model": state, "steps": steps}))
    return path


def app_of(file: Path, server: Server, store: str = ":memory:", **options: Any) -> Remit:
    """An app whose operator lists the server."""
    return Remit(store, processes=[file], **{"http_hosts": [server.host], **options})


async def ended(file: Path, server: Server, state: Any = None, **options: Any) -> Outcome[Any]:
    """How a workflow ends that calls the server."""
    terms = {name: options.pop(name) for name in ("budget", "retry") if name in options}
    async with app_of(file, server, **options) as app:
        return await (await app.start("Calls", state or {}, **terms)).outcome(10)


async def test_a_request_is_filled_from_the_state_and_its_response_is_data(tmp_path):
    async with serving(answer({"status": "success", "id": 12345678901234567890})) as server:
        config = {
            "method": "post",
            "url": f"{server.url}/users/{{{{state.user}}}}/orders?source=remit",
            "headers": {"X-Request-ID": "r-{{ state.order.id }}"},
            "query_params": {
                "tags": "{{state.tags}}",
                "limit": 5,
                "all": True,
                "none": None,
                "q": "a & {{state.user}}",
            },
            "body": {
                "amount": "{{state.order.amount}}",
                "note": "for {{state.user}}",
                "tags": "{{state.tags}}",
                "n": [1],
            },
        }
        file = written(tmp_path, config, output_key="order_result")
        state = {"user": "ada/lovelace", "order": {"id": "o-1", "amount": 12.5}, "tags": ["a", "b"]}
        value = (await ended(file, server, state)).unwrap()
    (taken,) = server.taken
    assert taken.line == (
        "POST /users/ada%2Flovelace/orders?source=remit&tags=a&tags=b&limit=5&all=true&q=a%20%26%20ada%2Flovelace HTTP/1.1"
    )
    assert taken.headers["x-request-id"] == "r-o-1"
    assert (taken.headers["host"], taken.headers["content-type"]) == (server.host, "application/json")
    assert taken.json() == {"amount": 12.5, "note": "for ada/lovelace", "tags": ["a", "b"], "n": [1]}
    response = value["order_result"]
    assert (response["status_code"], response["body"]) == (200, {"status": "success", "id": 12345678901234567890})
    assert response["headers"]["content-type"] == "application/json"


async def test_what_a_url_encodes_by_itself_is_not_encoded_twice(tmp_path):
    path = "/{{ state.id | urlencode }}/{{ state.id | trim | urlencode }}/{{ state.id + '%' | urlencode }}"
    async with serving(answer({})) as server:
        file = written(tmp_path, {"url": f"{server.url}{path}?q={{{{ state.q | urlencode }}}}"})
        assert (await ended(file, server, {"id": "a/ü", "q": "x&y"})).ok
        assert not (await ended(file, server, {"id": "..", "q": ""})).ok
    (taken,) = server.taken
    assert taken.line == "GET /a%2F%C3%BC/a%2F%C3%BC/a%2F%C3%BC%2525?q=x%26y HTTP/1.1"


@pytest.mark.parametrize(
    ("includes", "kept"), [(["body"], {"body"}), (["status_code", "body"], {"body", "status_code"}), ([], None)]
)
async def test_includes_chooses_what_is_kept_and_without_an_output_key_it_is_http_response(tmp_path, includes, kept):
    async with serving(answer({"a": 1})) as server:
        file = written(tmp_path, {"url": f"{server.url}/"}, includes=includes)
        value = (await ended(file, server)).unwrap()
    assert set(value["http_response"]) == (kept or {"status_code", "headers", "body"})


@pytest.mark.parametrize(
    ("body", "headers", "content_type", "content"),
    [
        ({"a": {"b": [1, None]}}, {}, "application/json", b'{"a":{"b":[1,null]}}'),
        ([1, "{{state.n}}"], {}, "application/json", b"[1,7]"),
        ("{{state.n}}", {}, "application/json", b"7"),
        ("<id>{{state.n}}</id>", {"Content-Type": "application/xml"}, "application/xml", b"<id>7</id>"),
        ("n is {{state.n}}", {}, "text/plain; charset=utf-8", b"n is 7"),
        ({"n": "{{state.n}}", "m": ["x y", "z"]}, {"content-type": "application/x-www-form-urlencoded"},
         "application/x-www-form-urlencoded", b"n=7&m=x+y&m=z"),
        (None, {}, None, b""),
    ],
)  # fmt: skip
async def test_the_body_is_sent_as_what_it_is(tmp_path, body, headers, content_type, content):
    async with serving(answer({})) as server:
        file = written(tmp_path, {"method": "PUT", "url": server.url, "headers": headers, "body": body})
        (await ended(file, server, {"n": 7})).unwrap()
    (taken,) = server.taken
    assert (taken.headers.get("content-type"), taken.body) == (content_type, content)


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (answer(b"plain \xc3\xa4", content_type="text/plain"), "plain ä"),
        (answer(b"plain \xe4", content_type="text/plain; charset=latin-1"), "plain ä"),
        (answer(b"<a/>", content_type="application/soap+xml"), "<a/>"),
        (answer(b'{"a": 1}', content_type="application/problem+json"), {"a": 1}),
        (answer(b'{"a": 1}', content_type="text/html"), '{"a": 1}'),
        (answer(None), None),
        (answer(None, 204), None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc"),
    ],
)
async def test_the_response_is_read_by_its_content_type(tmp_path, response, body):
    async with serving(response) as server:
        value = (await ended(written(tmp_path, {"url": server.url}), server)).unwrap()
    assert value["http_response"]["body"] == body


@pytest.mark.parametrize(
    "response",
    [
        answer(b"{", content_type="application/json"),
        answer(b'{"a": NaN}'),
        answer(b"[" * 100_000),
        answer(b'["\\ud800"]'),
        answer(b"[" * 300 + b"]" * 300),
        answer(b"\xff\xfe\x00", content_type="image/png"),
        answer(b"x", content_type="text/plain; charset=klingon"),
        answer(b"\x1f\x8b", Content_Encoding="gzip"),
    ],
)
async def test_a_response_that_cannot_be_read_is_a_domain_error_and_ends_nobody_else(tmp_path, response):
    async with serving(response) as server:
        outcome = await ended(written(tmp_path, {"url": server.url}), server)
    assert outcome.error is not None
    assert (outcome.error.error_class, outcome.error.code) == ("DOMAIN", "http_response")


@pytest.mark.parametrize(("status", "code"), [(200, "limit_exceeded"), (404, "http_status")])
async def test_L48_a_response_has_a_size_and_no_more_of_it_is_read(tmp_path, status, code):
    async with serving(answer(b"x" * 50_000_000, status, content_type="text/plain")) as server:
        outcome = await ended(written(tmp_path, {"url": server.url}), server)
        assert outcome.error is not None
        assert outcome.error.code == code

        async def left() -> int:
            return server.left

        assert await until(left) == 1


# ------------------------------------------------------------------------------------------------------ errors, by status


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 409, 422])
async def test_L17_another_status_is_a_domain_error_with_the_beginning_of_the_body(tmp_path, status):
    async with serving(answer({"why": "x" * 9_000}, status, Location="http://127.0.0.1:1/next")) as server:
        outcome = await ended(written(tmp_path, {"url": f"{server.url}/a"}), server)
    assert outcome.error is not None
    error = outcome.error
    assert (error.error_class, error.code, error.details["status"]) == ("DOMAIN", "http_status", status)
    assert error.details["body"].startswith('{"why": "xxx')
    assert len(error.details["body"]) == 2_000
    assert (server.connections, "redirects are not followed" in error.message) == (1, status < 400)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 599])
async def test_L17_L18_429_and_5xx_are_transient_and_retried_by_the_step_as_its_policy_says(tmp_path, status):
    policy = {"max_attempts": 3, "delay_seconds": 0.01}
    busy = answer({"busy": True}, status, Retry_After="1")
    async with serving([busy, busy, answer({"ok": True})]) as server:
        file = written(tmp_path, {"url": server.url, "retry_policy": policy})
        assert (await ended(file, server)).unwrap()["http_response"]["body"] == {"ok": True}
    async with serving(busy) as server:
        outcome = await ended(written(tmp_path, {"url": server.url, "retry_policy": policy}), server)
    assert outcome.error is not None
    assert (outcome.error.code, server.connections) == ("retries_exhausted", 3)
    last = outcome.error.details["last"]
    assert (last["code"], last["details"]["status"], last["details"]["retry_after"]) == (
        "http_unavailable",
        status,
        "1",
    )


async def test_L18_without_a_policy_the_execution_is_retried(tmp_path):
    async with (
        serving([answer({}, 503), answer({"ok": True})]) as server,
        app_of(written(tmp_path, {"url": server.url}), server) as app,
    ):
        execution = await app.start("Calls", {})
        assert (await execution.outcome(10)).unwrap()["http_response"]["body"] == {"ok": True}
        assert (await app.get(execution.id)).attempt == 2


async def test_L17_nobody_there_and_nonsense_are_transient(tmp_path):
    policy = {"max_attempts": 1}
    async with serving(b"SSH-2.0-nonsense\r\n\r\n") as server:
        outcome = await ended(written(tmp_path, {"url": server.url, "retry_policy": policy}), server)
    gone = await ended(written(tmp_path, {"url": server.url, "retry_policy": policy}), server)
    for each in (outcome, gone):
        assert each.error is not None
        assert (each.error.code, each.error.details["last"]["code"]) == ("retries_exhausted", "http_unavailable")


async def test_a_request_that_takes_too_long_is_left_and_on_timeout_says_what_then(tmp_path):
    async with serving(answer({}), delay_s=5) as server:
        config = {"url": server.url, "timeout": 0.1, "retry_policy": {"max_attempts": 1}}
        file = written(tmp_path, config, on_timeout={"target_step": "Late"})
        value = (await ended(file, server)).unwrap()
    assert value["step_failures"]["Call"]["code"] == "retries_exhausted"


async def test_L19_on_failure_handles_a_status_and_the_step_s_own_retry_comes_first(tmp_path):
    async with serving([answer({}, 503), answer({"gone": True}, 410)]) as server:
        file = written(
            tmp_path, {"url": server.url}, on_failure={"target_step": "Mend"}, retry={"attempts": 2, "delay": 0.01}
        )
        value = (await ended(file, server)).unwrap()
    assert (value["step_failures"]["Call"]["code"], server.connections) == ("http_status", 2)


# ------------------------------------------------------------------------------------------ durable, priced, in the lineage


async def test_L29_L26_a_request_is_a_tool_call_with_a_price_in_the_lineage(tmp_path):
    async with serving(answer({"ok": True})) as server:
        file = written(tmp_path, {"method": "POST", "url": f"{server.url}/c", "body": {"a": 1}}, cost="0.002")
        async with app_of(file, server) as app:
            execution = await app.start("Calls", {}, budget=Budget(cost="1.00"))
            await execution.outcome(5)
            (entry,) = await app.lineage(execution.id)
            record = await app.get(execution.id)
    assert (entry.kind, entry.name, entry.usage.cost) == ("tool", "Call", "0.002")
    assert entry.params == {"method": "POST", "url": f"{server.url}/c", "headers": {}, "body": {"a": 1}}
    assert entry.result["body"] == {"ok": True}
    assert (record.usage.own.cost, record.budget["reserved_cost"]) == ("0.002", "0.00")


async def test_L26_without_headroom_nothing_is_sent_and_a_refused_request_costs_nothing(tmp_path):
    async with serving(answer({})) as server:
        file = written(tmp_path, {"url": server.url}, cost="0.002")
        outcome = await ended(file, server, budget=Budget(cost="0.001"))
        assert outcome.error is not None
        assert (outcome.error.code, server.connections) == ("budget_exhausted", 0)
        refused = await ended(file, server, http_hosts=[])
        assert refused.error is not None
        assert (refused.error.code, refused.usage.own.cost, server.connections) == ("http_refused", "0.00", 0)
        unheard = await ended(
            written(tmp_path, {"url": f"{server.url}/{{{{state.a}}}}"}, cost="0.002"), server, {"a": "b"}
        )
        assert unheard.usage.own.cost == "0.002"


async def test_L47_a_recorded_request_is_not_sent_again(tmp_path):
    async with serving(answer({"n": 1})) as server:
        file, store = written(tmp_path, {"url": server.url}), open_store(tmp_path)
        text = json.loads(file.read_text())
        text["steps"][-1] = {"name": "End", "type": "WAIT", "event": "go"}
        file.write_text(json.dumps(text))
        async with app_of(file, server, store) as app:
            root = (await app.start("Calls", {})).id
            await until(lambda: app.lineage(root))
        async with app_of(file, server, store) as app:
            await app.send(root, "go")
            value = (await app.outcome(root, 5)).unwrap()
        assert (value["http_response"]["body"], server.connections) == ({"n": 1}, 1)


async def test_a_loop_sends_a_request_for_each_item(tmp_path):
    async with serving(lambda taken: answer({"line": taken.line.split()[1]})) as server:
        call = {"name": "Call", "type": "HTTP", "http_config": {"url": f"{server.url}/{{{{sku}}}}/{{{{loop_index}}}}"}}
        loop = {"name": "Each", "type": "LOOP", "mode": "ITERATE", "iterate_over": "state.skus", "item_var_name": "sku"}
        file = tmp_path / "calls.yaml"
        steps = [{**loop, "max_iterations": 5, "loop_body": [call]}]
        file.write_text(json.dumps({"workflow_type": "Calls", "steps": steps}))
        await ended(file, server, {"skus": ["a", "b", "a"]})
    assert [taken.line.split()[1] for taken in server.taken] == ["/a/0", "/b/1", "/a/2"]


async def test_a_fake_stands_in_for_a_request_and_sees_what_is_recorded_of_it(tmp_path):
    config = {"url": "https://erp.example/{{state.id}}", "headers": {"X-Key": "{{secrets.TOKEN}}"}}
    seen = []

    def erp(method: str, url: str, headers: dict[str, str]) -> Any:
        seen.append((method, url, headers))
        return {"status_code": 200, "body": {"stock": 7}}

    async with TestApp([written(tmp_path, config)], tools={"Call": erp}, secrets={"TOKEN": TOKEN}) as app:
        value = (await (await app.start("Calls", {"id": 5})).outcome()).unwrap()
    assert value["http_response"]["body"] == {"stock": 7}
    assert seen == [("GET", "https://erp.example/5", {"X-Key": "{{secrets.TOKEN}}"})]


# ----------------------------------------------------------------------------------------------------------------- secrets


async def test_L29_secrets_are_sent_and_recorded_nowhere(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DEVICE_ID", "device-0815-secret")
    caplog.set_level(logging.DEBUG)

    def echo(taken: Taken) -> bytes:
        return answer({"line": taken.line, "headers": taken.headers, "body": taken.body.decode()})

    config = {
        "method": "POST",
        "headers": {"Authorization": "Bearer {{secrets.TOKEN}}", "X-Device": "{{ env.DEVICE_ID }}"},
        "query_params": {"key": "{{secrets.TOKEN}}"},
        "body": {"auth": {"token": "{{secrets.TOKEN}}"}, "list": ["x{{secrets.TOKEN}}"]},
    }
    async with serving(echo) as server:
        file = written(tmp_path, {**config, "url": f"{server.url}/a/{{{{secrets.TOKEN}}}}"})
        options = {"store": open_store(tmp_path), "secrets": {"TOKEN": f"{TOKEN}/ä"}, "env": ["DEVICE_ID"]}
        async with app_of(file, server, **options) as app:
            execution = await app.start("Calls", {})
            value = (await execution.outcome(5)).unwrap()
            (entry,) = await app.lineage(execution.id)
            shown = [value, entry, await app.get(execution.id), await app.journal(execution.id), app]
    (taken,) = server.taken
    assert taken.line == f"POST /a/{TOKEN}%2F%C3%A4?key={TOKEN}%2F%C3%A4 HTTP/1.1"
    assert taken.headers["authorization"].encode("latin-1").decode() == f"Bearer {TOKEN}/ä"
    assert (taken.headers["x-device"], taken.json()["list"]) == ("device-0815-secret", [f"x{TOKEN}/ä"])
    assert entry.params["url"] == f"{server.url}/a/{{{{secrets.TOKEN}}}}?key={{{{secrets.TOKEN}}}}"
    assert entry.params["body"]["list"] == ["x{{secrets.TOKEN}}"]
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert TOKEN.encode() not in kept
    assert TOKEN not in f"{shown} {caplog.text} {[record.args for record in caplog.records]}"
    assert b"device-0815-secret" not in entry.params.__repr__().encode()


async def test_L29_an_error_that_quotes_what_was_sent_quotes_no_secret(tmp_path):
    async with serving(lambda taken: answer({"your": taken.headers}, 403)) as server:
        config = {"url": f"{server.url}/{{{{secrets.TOKEN}}}}", "headers": {"X-Key": "{{secrets.TOKEN}}"}}
        outcome = await ended(written(tmp_path, config), server, secrets={"TOKEN": TOKEN})
        gone = await ended(written(tmp_path, {**config, "retry_policy": 1}), server, secrets={"TOKEN": TOKEN})
    assert outcome.error is not None
    assert "[redacted]" in outcome.error.details["body"]
    assert TOKEN not in f"{outcome.error} {gone.error}"


async def test_a_state_that_spells_a_secret_s_name_is_only_text(tmp_path):
    async with serving(answer({})) as server:
        config = {
            "method": "POST",
            "url": f"{server.url}/",
            "body": {"note": "{{state.note}}", "t": "{{secrets.TOKEN}}"},
        }
        await ended(written(tmp_path, config), server, {"note": "{{secrets.TOKEN}}"}, secrets={"TOKEN": TOKEN})
    assert server.taken[0].json() == {"note": "{{secrets.TOKEN}}", "t": TOKEN}


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("{{secrets.OTHER}}", {"secrets": {"TOKEN": "x"}}, r"secrets\.OTHER is not listed; there are: TOKEN"),
        ("{{env.HOME}}", {}, r"env\.HOME is not listed; there are: none"),
        ("{{secrets.TOKEN | upper}}", {"secrets": {"TOKEN": "x"}}, "without filters or operators"),
        ("{{secrets.TOKEN == 'x'}}", {"secrets": {"TOKEN": "x"}}, "without filters or operators"),
        ("{{secrets}}", {"secrets": {"TOKEN": "x"}}, "without filters or operators"),
        ("x", {"secrets": {"TOKEN": ""}}, "has no value that a request can carry"),
        ("x", {"secrets": {"TOKEN": "a\nb"}}, "has no value that a request can carry"),
        ("x", {"secrets": {"TO-KEN": "a"}}, "is no name"),
        ("x", {"env": ["REMIT_IS_NOT_SET"]}, "is not set"),
        ("x", {"env": "HOME"}, "is a list of names"),
    ],
)
def test_a_name_that_the_operator_does_not_list_is_an_error_before_anything_runs(tmp_path, text, options, told):
    file = written(tmp_path, {"url": "https://erp.example/", "headers": {"X-Key": text}})
    with pytest.raises(DefinitionError, match=told):
        Remit(":memory:", processes=[file], **options)


# ------------------------------------------------------------------------------------------------------- names and wires


async def test_a_url_may_begin_with_a_variable_that_the_operator_lists(tmp_path, monkeypatch):
    async with serving(answer({"ok": True})) as server:
        monkeypatch.setenv("PAYMENT_SERVICE_URL", f"{server.url}/v1")
        file = written(tmp_path, {"url": "{{env.PAYMENT_SERVICE_URL}}/charge/{{state.id}}"})
        (await ended(file, server, {"id": 5}, env=["PAYMENT_SERVICE_URL"])).unwrap()
    assert server.taken[0].line == "GET /v1/charge/5 HTTP/1.1"


async def test_proxies_of_the_environment_are_ignored(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving(answer({})) as server:
        (await ended(written(tmp_path, {"url": server.url}), server)).unwrap()
    assert server.connections == 1


@pytest.fixture
def erp_here(monkeypatch):
    """The name erp.example leads to this machine, and to a port where nobody listens before."""
    asked = []

    async def getaddrinfo(_loop, host, port, **_more):
        asked.append(host)
        return [(2, 1, 6, "", (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE_AUTHORITY))
    sending._certificates.cache_clear()
    yield asked
    sending._certificates.cache_clear()


async def test_a_name_is_resolved_once_and_connected_to_by_address_under_its_own_host_and_certificate(
    tmp_path, erp_here
):
    async with serving(answer({"ok": True}), tls=True) as server:
        file = written(tmp_path, {"url": f"https://ERP.example:{server.port}/a"})
        (await ended(file, server, http_hosts=[f"*.example:{server.port}"])).unwrap()
    assert erp_here == ["erp.example"]
    assert server.taken[0].headers["host"] == f"erp.example:{server.port}"


async def test_a_certificate_of_another_name_is_a_domain_error(tmp_path, erp_here):
    async with serving(answer({"ok": True}), tls=True) as server:
        file = written(tmp_path, {"url": f"https://crm.example:{server.port}/a"})
        outcome = await ended(file, server, http_hosts=["crm.example"])
    assert outcome.error is not None
    assert (outcome.error.code, server.taken) == ("http_certificate", [])
