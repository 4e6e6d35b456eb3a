"""Through input and configuration: values, keys, files and settings that ask for more than they may."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from remit import Budget, Remit, RemitError, ask, call_process, process
from tests.attempts.attempt import Place, attempt, code_of, refusal
from tests.laws.scene import wait_until


class Order(BaseModel):
    number: int
    note: str = ""


@process("shop")
async def shop(order: Order) -> str:
    return order.note or "no note"


@process("caller", calls=["shop@*"])
async def caller(value: dict[str, Any]) -> str:
    return code_of(await call_process("shop", value))


async def _called_with(place: Place, value: dict[str, Any]) -> str:
    async with place.app(caller, shop) as app:
        root = await app.start(caller, value)
        told = (await root.outcome(5)).unwrap()
        assert len(await app.list(root=root.id)) == 1
        return str(told)


# -- input --------------------------------------------------------------------------------------------------------------


@attempt("input", "invalid_input", "rejected")
async def an_input_of_another_type(place: Place) -> str:
    """Pass what the callee's contract does not take."""
    return await _called_with(place, {"number": "not one"})


@attempt("input", "limit_exceeded", "rejected")
async def an_input_of_two_megabytes(place: Place) -> str:
    """Fill the store and the callee's memory with one call."""

    @process("big", calls=["shop@*"])
    async def big(_: int) -> str:
        return code_of(await call_process("shop", {"number": 1, "note": "x" * 2_000_000}))

    async with place.app(big, shop) as app:
        return str((await (await app.start(big, 1)).outcome(5)).unwrap())


@attempt("input", "invalid_input", "rejected")
async def an_input_that_hides_a_live_object(place: Place) -> str:
    """Hand the callee an object of the caller's, to share it past the seam."""

    @process("anything")
    async def anything(value: Any) -> str:
        return type(value).__name__

    @process("sharer", calls=["anything@*"])
    async def sharer(_: int) -> str:
        return code_of(await call_process("anything", {"door": object()}))

    async with place.app(sharer, anything) as app:
        return str((await (await app.start(sharer, 1)).outcome(5)).unwrap())


@attempt("input", "idempotency_conflict", "rejected")
async def another_input_under_a_used_key(place: Place) -> str:
    """Take another call's result by its key."""

    @process("keys", calls=["shop@*"])
    async def keys(_: int) -> str:
        await call_process("shop", Order(number=1, note="theirs"), key="k")
        return code_of(await call_process("shop", Order(number=2), key="k"))

    async with place.app(keys, shop) as app:
        return str((await (await app.start(keys, 1)).outcome(5)).unwrap())


@attempt("input", "idempotency_conflict", "rejected")
async def another_process_under_a_used_key(place: Place) -> str:
    """Use the key of a call of one process to get at another's result."""

    @process("mint")
    async def mint(_: int) -> str:
        return "coin"

    @process("keys", calls=["shop@*", "mint@*"])
    async def keys(_: int) -> str:
        await call_process("mint", 1, key="k")
        return code_of(await call_process("shop", Order(number=1), key="k"))

    async with place.app(keys, shop, mint) as app:
        return str((await (await app.start(keys, 1)).outcome(5)).unwrap())


@attempt("input", "invalid_input", "refused")
async def an_answer_that_does_not_fit_the_question(place: Place) -> str:
    """Answer an approval with something that counts as true."""

    @process("asks")
    async def asks(_: int) -> bool:
        return bool(await ask(bool, name="ok", prompt="Pay?"))

    async with place.app(asks) as app:
        root = await app.start(asks, 1)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        told = await refusal(app.answer(root.id, {"approved": "certainly"}))
        assert (await root.record()).status == "WAITING_HUMAN_INPUT"
        return told


@attempt("input", "already_answered", "refused")
async def a_second_answer(place: Place) -> str:
    """Overrule whoever has answered."""

    @process("asks")
    async def asks(_: int) -> bool:
        return bool(await ask(bool, name="ok", prompt="Pay?"))

    async with place.app(asks) as app:
        root = await app.start(asks, 1)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        await app.answer(root.id, False, ask="ok")
        told = await refusal(app.answer(root.id, True, ask="ok"))
        assert (await root.outcome(5)).value is False
        return told


@attempt("input", "wrong_state", "refused")
async def a_top_up_of_a_child(place: Place) -> str:
    """Raise the limit of a child, where nobody looks for it."""

    @process("parent", calls=["shop@*"])
    async def parent(_: int) -> str:
        return str((await call_process("shop", Order(number=1))).execution_id)

    async with place.app(parent, shop) as app:
        child = (await (await app.start(parent, 1)).outcome(5)).unwrap()
        return await refusal(app.top_up(child, Budget(tokens=1_000)))


# -- configuration ------------------------------------------------------------------------------------------------------


async def _refused_app(place: Place, *processes: Any, **options: Any) -> str:
    try:
        async with Remit(place.url, processes=processes, **options):
            pass
    except RemitError as error:
        return error.code
    raise AssertionError("it was taken")


def _workflow(place: Place, steps: str, functions: str = "") -> str:
    place.file("flow/functions.py", functions)
    head = "workflow_type: Flow\nsteps:\n"
    return place.file("flow/flow.yaml", head + steps)


@attempt("configuration", "bad_definition", "")
async def a_step_that_names_another_tenant(place: Place) -> str:
    """Write a tenant into a step of a workflow."""
    file = _workflow(
        place,
        "  - name: Call\n    type: SUB_WORKFLOW\n    sub_workflow_type: Other\n    tenant: globex\n",
    )
    return await _refused_app(place, file)


@attempt("configuration", "bad_definition", "")
async def a_function_from_outside_the_directory(place: Place) -> str:
    """Name a function of the standard library as a step."""
    return await _refused_app(place, _workflow(place, "  - name: Run\n    function: os.system\n"))


@attempt("configuration", "bad_definition", "")
async def a_condition_that_calls(place: Place) -> str:
    """Reach for Python's insides in a condition."""
    return await _refused_app(
        place,
        _workflow(
            place,
            "  - name: Choose\n    type: DECISION\n    routes:\n"
            '      - condition: "state.__class__.__mro__[1].__subclasses__()"\n        target: Choose\n'
            "      - default: Choose\n",
        ),
    )


@attempt("configuration", "http_refused", "failed")
async def a_request_to_the_clouds_metadata(place: Place) -> str:
    """Fetch the machine's credentials with an HTTP step."""
    file = _workflow(
        place,
        "  - name: Fetch\n    type: HTTP\n    http_config:\n      method: GET\n"
        "      url: http://169.254.169.254/latest/meta-data/\n",
    )
    async with place.app(file) as app:
        return code_of(await (await app.start("Flow", {})).outcome(5))


@attempt("configuration", "http_refused", "failed")
async def a_request_to_the_machine_itself(place: Place) -> str:
    """Reach a service that listens on the loopback, by an address that does not look like it."""
    file = _workflow(
        place,
        "  - name: Fetch\n    type: HTTP\n    http_config:\n      method: GET\n      url: http://2130706433:8080/admin\n",
    )
    async with place.app(file) as app:
        return code_of(await (await app.start("Flow", {})).outcome(5))


@attempt("configuration", "undeclared_call", "rejected")
async def a_target_made_up_at_run_time(place: Place) -> str:
    """Let the state say whom a directive calls."""
    functions = (
        "from remit.workflows import StartSubWorkflowDirective\n\n\n"
        "def steer(state, context):\n    raise StartSubWorkflowDirective(state.target, {})\n"
    )
    file = _workflow(place, "  - name: Steer\n    function: functions.steer\n", functions)

    @process("vault")
    async def vault() -> str:
        return "opened"

    async with place.app(file, vault) as app:
        return code_of(await (await app.start("Flow", {"target": "vault"})).outcome(5))


@attempt("configuration", "cross_tenant", "aborted")
async def a_directive_for_another_owner(place: Place) -> str:
    """Name another owner in a directive."""
    return await _directed(place, "owner_id='globex'")


@attempt("configuration", "region_violation", "aborted")
async def a_directive_for_another_region(place: Place) -> str:
    """Name another region in a directive."""
    return await _directed(place, "data_region='us'")


async def _directed(place: Place, terms: str) -> str:
    functions = (
        "from remit.workflows import StartSubWorkflowDirective\n\n\n"
        f"def steer(state, context):\n    raise StartSubWorkflowDirective('Leaf', {{}}, {terms})\n\n\n"
        "def rest(state, context):\n    return {}\n"
    )
    file = _workflow(place, "  - name: Steer\n    function: functions.steer\n", functions)
    place.file("flow/leaf.yaml", "workflow_type: Leaf\nsteps:\n  - name: Do\n    function: functions.rest\n")
    async with place.app(str(place.directory / "flow")) as app:
        assert file
        root = await app.start("Flow", {}, owner="acme", region="eu")
        told = code_of(await root.outcome(5))
        assert len(await app.list(root=root.id)) == 1
        return told


@attempt("configuration", "store_owned", "")
async def a_second_engine_on_the_file(place: Place) -> str:
    """Open the store again, with limits of one's own."""
    async with place.app(shop):
        return await _refused_app(place, shop)
