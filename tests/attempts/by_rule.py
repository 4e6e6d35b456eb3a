"""Past departments and policies: other names for what is forbidden, other forms of what must not cross, other ways in."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from remit import Outcome, Remit, ask, call_process, process, start_process, tool
from tests.attempts.attempt import Place, attempt, code_of, refusal
from tests.laws.scene import wait_until

CARD = "4111 1111 1111 1111"
ran: list[str] = []


class Letter(BaseModel):
    text: str
    more: dict[str, Any] = {}


@process("post")
async def post(letter: Letter) -> str:
    return letter.text


@process("writer", calls=["post@*"])
async def writer(letter: Letter) -> str:
    outcome = await call_process("post", letter)
    return code_of(outcome) if not outcome.ok else "it went through"


async def _posted(place: Place, rules: str, letter: Letter) -> str:
    async with place.app(post, writer) as app:
        await _in_force(app, "applies_to: {process: post}\n" + rules)
        return str((await (await app.start(writer, letter)).outcome(5)).unwrap())


async def _in_force(app: Remit, rules: str) -> None:
    await app.apply_policy(f"policy: strict\nversion: 1.0.0\n{rules}\n", by="operator")


async def _told(app: Remit, target: Any, value: Any = 1) -> Outcome[Any]:
    return await (await app.start(target, value)).outcome(5)


# -- departments --------------------------------------------------------------------------------------------------------


def _payroll(version: str, *callers: str) -> Any:
    @process("payroll", version=version, department="people", callers=callers)
    async def payroll(_: int) -> str:
        return "salaries"

    return payroll


@attempt("code", "department_denied", "rejected")
async def a_call_from_another_department(place: Place) -> str:
    """Call a process whose callers= does not name the caller's department."""

    @process("curious", department="sales", calls=["payroll@*"])
    async def curious(n: int) -> str:
        return code_of(await call_process("payroll", n))

    async with place.app(curious, _payroll("1.0.0", "finance")) as app:
        return str((await _told(app, curious)).unwrap())


@attempt("alias", "department_denied", "rejected")
async def a_call_from_no_department(place: Place) -> str:
    """Call a process that only some departments may call from one that names no department."""

    @process("curious", calls=["payroll@*"])
    async def curious(n: int) -> str:
        return code_of(await call_process("payroll", n))

    async with place.app(curious, _payroll("1.0.0", "finance")) as app:
        return str((await _told(app, curious)).unwrap())


@attempt("alias", "department_denied", "rejected")
async def a_department_that_is_spelled_alike(place: Place) -> str:
    """Belong to a department whose name differs in a capital from one that may call."""

    @process("curious", department="Finance", calls=["payroll@*"])
    async def curious(n: int) -> str:
        return code_of(await call_process("payroll", n))

    async with place.app(curious, _payroll("1.0.0", "finance")) as app:
        return str((await _told(app, curious)).unwrap())


# -- what must not cross ------------------------------------------------------------------------------------------------


_NO_CARDS = "filters: [{on: input, find: card, action: block}]"


@attempt("input", "policy_denied", "rejected")
async def a_card_number_deep_in_the_input(place: Place) -> str:
    """Hide a card number in a list in a dict in a free field."""
    return await _posted(place, _NO_CARDS, Letter(text="hello", more={"notes": [{"ref": f"paid with {CARD}."}]}))


@attempt("input", "policy_denied", "rejected")
async def a_card_number_as_a_key(place: Place) -> str:
    """Hide a card number in the name of a field."""
    return await _posted(place, _NO_CARDS, Letter(text="hello", more={CARD: True}))


@attempt("input", "policy_denied", "rejected")
async def a_card_number_with_dashes(place: Place) -> str:
    """Write a card number with dashes."""
    return await _posted(place, _NO_CARDS, Letter(text=CARD.replace(" ", "-")))


@attempt("input", "policy_denied", "rejected")
async def an_email_in_capitals(place: Place) -> str:
    """Write an address in capitals, with a tag."""
    rules = "filters: [{on: input, find: email, action: block}]"
    return await _posted(place, rules, Letter(text="to ANN.O'HARA+X@EXAMPLE.CO.UK"))


@attempt("code", "policy_denied", "failed")
async def a_forbidden_text_in_a_result(place: Place) -> str:
    """Pass the input's filter, and make the forbidden text inside."""

    @process("maker")
    async def maker(_: int) -> str:
        return CARD

    async with place.app(maker) as app:
        await _in_force(app, "filters: [{on: result, find: card, action: block}]")
        return code_of(await _told(app, maker))


# -- tools --------------------------------------------------------------------------------------------------------------


async def _read(what: str) -> str:
    ran.append(what)
    return what


@attempt("alias", "policy_denied", "tool.refused")
async def a_forbidden_tool_under_another_name(place: Place) -> str:
    """Register the same function as a tool of another name."""
    ran.clear()
    other = tool("helper.read")(_read)

    @process("user")
    async def user(_: int) -> str:
        return await other("secret")

    async with place.app(user) as app:
        await _in_force(app, "tools: {allow: ['erp.*']}")
        told = code_of(await _told(app, user))
        assert ran == []
        return told


@attempt("code", "policy_denied", "tool.refused")
async def a_forbidden_tool_in_a_child(place: Place) -> str:
    """Let a child use the tool that the caller's policy forbids."""
    ran.clear()
    read = tool("files.read")(_read)

    @process("child")
    async def child(_: int) -> str:
        return await read("secret")

    @process("user", calls=["child@*"])
    async def user(n: int) -> str:
        return code_of(await call_process("child", n))

    async with place.app(user, child) as app:
        await _in_force(app, "applies_to: {process: user}\ntools: {deny: ['files.*']}")
        told = (await _told(app, user)).unwrap()
        assert ran == []
        return str(told)


# -- rates, rules, four eyes --------------------------------------------------------------------------------------------


@attempt("code", "policy_denied", "rejected")
async def more_calls_at_once_than_the_rate_allows(place: Place) -> str:
    """Make all calls in one turn, before any of them is counted."""

    @process("burst", calls=["post@*"])
    async def burst(n: int) -> list[str]:
        found = await asyncio.gather(*(call_process("post", Letter(text=str(each))) for each in range(n)))
        return [each.status if each.error is None else each.error.code for each in found]

    async with place.app(post, burst) as app:
        await _in_force(app, "applies_to: {process: post}\nrate_limit: {calls: 5, per: 1h}")
        told = (await _told(app, burst, 64)).unwrap()
        assert told.count("completed") == 5
        return str({*told} - {"completed"}).strip("{'}")


@attempt("alias", "policy_denied", "rejected")
async def a_rate_spent_through_two_versions(place: Place) -> str:
    """Use up the rate of one version, and call the other."""

    def numbered(version: str) -> Any:
        @process("post", version=version)
        async def body(_: Letter) -> str:
            return version

        return body

    @process("burst", calls=["post@*"])
    async def burst(_: int) -> list[str]:
        found = [await call_process(f"post@^{each}", Letter(text="x")) for each in (1, 2)]
        return [each.status if each.error is None else each.error.code for each in found]

    async with place.app(burst, numbered("1.0.0"), numbered("2.0.0")) as app:
        await _in_force(app, "applies_to: {process: post}\nrate_limit: {calls: 1, per: 1h}")
        first, second = (await _told(app, burst)).unwrap()
        assert first == "completed"
        return str(second)


@attempt("code", "policy_denied", "rejected")
async def an_async_start_past_a_rule(place: Place) -> str:
    """Start what a rule forbids without waiting for it."""

    @process("export", tags=["pii"])
    async def export(_: int) -> str:
        ran.append("export")
        return "all of it"

    @process("starter", calls=["export@*"])
    async def starter(n: int) -> str:
        return await refusal(start_process("export", n, detached=True))

    async with place.app(starter, export) as app:
        ran.clear()
        await _in_force(app, "rules: [{name: eu-only, require: \"call.region == 'eu' or 'pii' not in call.tags\"}]")
        told = (await (await app.start(starter, 1, region="us")).outcome(5)).unwrap()
        assert ran == []
        return str(told)


@attempt("identifier", "four_eyes", "refused")
async def an_approval_of_ones_own_request(place: Place) -> str:
    """Approve what one has started oneself, under another spelling of one's name."""

    @process("asks")
    async def asks(_: int) -> bool:
        return bool(await ask(bool, name="ok", prompt="Pay?"))

    async with place.app(asks) as app:
        await _in_force(app, "approvals: {four_eyes: true}")
        root = await app.start(asks, 1, owner="ann")
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        codes = {await refusal(app.answer(root.id, True, by=each)) for each in ("ann", "Ann", " ann ", "ann\u200b", " ", None)}
        assert (await root.record()).status == "WAITING_HUMAN_INPUT"
        return codes.pop() if len(codes) == 1 else str(codes)


@attempt("identifier", "policy_exists", "refused")
async def a_policy_that_is_loosened_in_place(place: Place) -> str:
    """Apply the same version of a policy with other content."""
    async with place.app(post) as app:
        await _in_force(app, "limits: {depth: 1}")
        return await refusal(app.apply_policy("policy: strict\nversion: 1.0.0\nlimits: {depth: 5}\n"))
