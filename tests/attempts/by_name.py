"""Through aliases, identifiers and other tenants: names, versions, ids and keys that stand for something else."""

from __future__ import annotations

from typing import Any

from remit import Budget, ProcessRef, RemitError, ask, call_process, process
from remit.durable import wait_event
from tests.attempts.attempt import Place, attempt, code_of, refusal
from tests.laws.scene import wait_until


def vault(version: str = "1.0.0", name: str = "vault", **terms: Any) -> Any:
    @process(name, version=version, **terms)
    async def body(_: int) -> str:
        return version

    return body


def defined(*arguments: Any, **terms: Any) -> str:
    """The code that a definition is refused with."""
    try:
        vault(*arguments, **terms)
    except RemitError as error:
        return error.code
    raise AssertionError("it was taken")


# -- aliases ------------------------------------------------------------------------------------------------------------


@attempt("alias", "cycle_detected", "rejected")
async def the_caller_under_another_version(place: Place) -> str:
    """Call oneself as another version, which might be somebody else."""

    @process("twin", version="1.0.0", calls=["twin@^2"])
    async def first(n: int) -> str:
        return code_of(await call_process("twin@^2", n))

    @process("twin", version="2.0.0")
    async def second(_: int) -> str:
        return "reached"

    async with place.app(first, second) as app:
        root = await app.start(ProcessRef("twin@1.0.0"), 1)
        return str((await root.outcome(5)).unwrap())


@attempt("alias", "cycle_detected", "rejected")
async def the_caller_through_a_pattern(place: Place) -> str:
    """Declare a pattern, and reach an ancestor by it."""

    @process("tools.a", calls=["tools.*@*"])
    async def a(n: int) -> str:
        return (await call_process("tools.b", n)).unwrap()

    @process("tools.b", calls=["tools.*@*"])
    async def b(n: int) -> str:
        return code_of(await call_process("tools.a", n))

    async with place.app(a, b) as app:
        return str((await (await app.start(a, 1)).outcome(5)).unwrap())


@attempt("alias", "undeclared_call", "rejected")
async def a_name_that_only_begins_alike(place: Place) -> str:
    """Call `tools` and `toolsmith` where `tools.*` was declared."""

    @process("caller", calls=["tools.*@*"])
    async def caller(n: int) -> str:
        codes = {code_of(await call_process(name, n)) for name in ("tools", "toolsmith")}
        return codes.pop() if len(codes) == 1 else str(codes)

    async with place.app(caller, vault(name="tools"), vault(name="toolsmith")) as app:
        return str((await (await app.start(caller, 1)).outcome(5)).unwrap())


@attempt("alias", "no_matching_version", "rejected")
async def a_version_outside_the_declared_range(place: Place) -> str:
    """Ask for version 2 in the call where version 1 was declared."""

    @process("caller", calls=["vault@^1"])
    async def caller(n: int) -> str:
        return code_of(await call_process("vault@^2", n))

    async with place.app(caller, vault("1.0.0"), vault("2.0.0")) as app:
        return str((await (await app.start(caller, 1)).outcome(5)).unwrap())


@attempt("alias", "no_matching_version", "rejected")
async def a_version_that_was_published_and_not_promoted(place: Place) -> str:
    """Call a version before anybody let it be called."""

    @process("caller", calls=["vault@*"])
    async def caller(n: int) -> str:
        return code_of(await call_process("vault", n))

    async with place.app(caller, vault("1.0.0")) as app:
        await app.publish(vault("1.0.0"))
        return str((await (await app.start(caller, 1)).outcome(5)).unwrap())


@attempt("alias", "version_exists", "refused")
async def a_published_version_with_other_content(place: Place) -> str:
    """Put other code under a version that callers trust."""
    async with place.app(vault("1.0.0", calls=[])) as app:
        await app.publish(vault("1.0.0"))

        @process("vault", version="1.0.0")
        async def other(_: str) -> int:
            return 1

        return await refusal(app.publish(other))


@attempt("alias", "declared_cycle", "refused")
async def a_cycle_that_is_published_in_two_parts(place: Place) -> str:
    """Publish A → B and then B → A, each of them harmless."""

    @process("a", calls=["b@*"])
    async def a(_: int) -> int:
        return 1

    @process("b", calls=["a@*"])
    async def b(_: int) -> int:
        return 1

    async with place.app(a, b) as app:
        await app.publish(a)
        return await refusal(app.publish(b))


# -- identifiers --------------------------------------------------------------------------------------------------------


@attempt("identifier", "bad_definition", "")
async def a_name_that_is_a_range(_: Place) -> str:
    """Name a process so that others' references lead to it."""
    return defined(name="inventory@^2")


@attempt("identifier", "bad_definition", "")
async def a_name_that_is_a_pattern(_: Place) -> str:
    """Name a process '*', which everything matches."""
    return defined(name="*")


@attempt("identifier", "unknown_execution", "refused")
async def an_id_with_a_wildcard(place: Place) -> str:
    """Look for everybody's executions with an id that matches them all."""
    async with place.app(vault()) as app:
        await (await app.start("vault", 1)).outcome(5)
        codes = {await refusal(app.tree(each)) for each in ("exec_%", "%", "exec_*", "exec_" + "_" * 24)}
        return codes.pop() if len(codes) == 1 else str(codes)


@attempt("identifier", "unknown_execution", "refused")
async def an_id_that_ends_in_sql(place: Place) -> str:
    """Write SQL into an id."""
    async with place.app(vault()) as app:
        root = await app.start("vault", 1)
        await root.outcome(5)
        told = await refusal(app.cancel(f"{root.id}'; DROP TABLE executions; --"))
        assert (await root.record()).status == "COMPLETED"
        return told


@attempt("identifier", "unknown_execution", "refused")
async def an_id_of_a_child_that_is_not_there(place: Place) -> str:
    """Make up the id of a child, and answer it."""
    async with place.app(vault()) as app:
        root = await app.start("vault", 1)
        await root.outcome(5)
        return await refusal(app.answer(f"{root.id}.1", True))


# -- other tenants ------------------------------------------------------------------------------------------------------


@attempt("tenant", "unknown_execution", "refused")
async def a_look_at_another_tenants_execution(place: Place) -> str:
    """Read, with one tenant's access, an execution of another's by its id."""
    async with place.app(vault()) as app:
        root = await app.start("vault", 1, tenant="globex")
        await root.outcome(5)
        acme = app.for_tenant("acme")
        assert len(await acme.list()) == 0
        codes = {await refusal(look(root.id)) for look in (acme.get, acme.tree, acme.journal, acme.lineage)}
        return codes.pop() if len(codes) == 1 else str(codes)


@attempt("tenant", "unknown_execution", "refused")
async def an_answer_to_another_tenants_question(place: Place) -> str:
    """Approve, with one tenant's access, what another's human was asked."""

    @process("asks")
    async def asks(_: int) -> bool:
        return bool(await ask(bool, name="ok", prompt="Pay?"))

    async with place.app(asks) as app:
        root = await app.start(asks, 1, tenant="globex")
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        told = await refusal(app.for_tenant("acme").answer(root.id, True))
        assert (await root.record()).status == "WAITING_HUMAN_INPUT"
        return told


@attempt("tenant", "unknown_execution", "refused")
async def an_event_for_another_tenants_execution(place: Place) -> str:
    """Send, with one tenant's access, an event that another's execution waits for."""

    @process("waits")
    async def waits(_: int) -> Any:
        return await wait_event("go")

    async with place.app(waits) as app:
        root = await app.start(waits, 1, tenant="globex")
        told = await refusal(app.for_tenant("acme").send(root.id, "go", 1))
        assert not (await root.record()).ended_at
        return told


@attempt("tenant", "unknown_execution", "refused")
async def a_cancel_of_another_tenants_execution(place: Place) -> str:
    """Cancel, retry and top up, with one tenant's access, what belongs to another."""

    @process("waits")
    async def waits(_: int) -> Any:
        return await wait_event("go")

    async with place.app(waits) as app:
        root = await app.start(waits, 1, tenant="globex")
        acme = app.for_tenant("acme")
        codes = {await refusal(acme.cancel(root.id)), await refusal(acme.retry(root.id))}
        codes.add(await refusal(acme.top_up(root.id, Budget(tokens=1))))
        return codes.pop() if len(codes) == 1 else str(codes)


@attempt("tenant", "", "admitted")
async def another_tenants_key(place: Place) -> str:
    """Start with the key of another tenant's root, to be given its result."""
    async with place.app(vault()) as app:
        theirs = await app.start("vault", 1, key="order-42", tenant="globex")
        mine = await app.start("vault", 1, key="order-42", tenant="acme")
        assert theirs.id != mine.id
        assert mine.new
        return ""
