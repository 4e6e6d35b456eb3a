"""`remit evaluate` and `remit require`: a version beside the current one, and what that must show before it is promoted."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from remit.cli.carrying import carried_out
from remit.cli.looks import table
from remit.cli.options import DEFAULT_STORE, By, JsonFlag, ReplyTimeout, StoreUrl
from remit.cli.output import Ending, console, print_json, reported, say
from remit.cli.registry import Reference
from remit.cli.target import load_target
from remit.cli.values import share_of
from remit.control.client import Client
from remit.control.evaluating.cases import digest_of, read_cases
from remit.control.evaluating.evaluation import Asked, Evaluator
from remit.control.hosting import Hosting
from remit.control.releases.gate import evaluation_summaries
from remit.control.releases.published import publication_of
from remit.errors import MisuseError
from remit.kernel.preflight import Limits

__all__ = ["evaluate", "evaluations", "require"]

_WAIT_S = 10.0
_LONG_S = 600.0
_SHOWN = 12
CasesFile = Annotated[str | None, typer.Option("--cases", metavar="FILE", help="Cases: YAML, or JSON Lines.")]
Increase = Annotated[str | None, typer.Option(metavar="SHARE", help="By how much it may rise: 10% or 0.1.")]


@reported
def evaluate(
    reference: Reference,
    cases: CasesFile = None,
    recorded: Annotated[
        int | None, typer.Option(metavar="N", help="The last N recorded calls of the current version.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Held against this version; else the one that callers get.")
    ] = None,
    live: Annotated[
        list[str] | None, typer.Option(metavar="STEP", help="A step, tool or model that really runs.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="POINTER", help="A part of the result that may differ: /at.")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Decides instead of an equal result: 'result.left >= 0'."),
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="TARGET", help="Code to evaluate here; else by whoever drives the store."),
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="PREFIX", help="A package that workflows may import from.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(metavar="TENANT", help="Only this tenant's recorded calls.")] = None,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _LONG_S,
    as_json: JsonFlag = False,
) -> None:
    """Run a version beside the world, against cases or recorded calls, and hold it against the current one. Exit code 1: not passed."""
    plain = None if cases is None else read_cases(cases)
    runs, differs, decides = (tuple(each or ()) for each in (live, ignore, expect))
    asked = Asked(reference, plain, recorded, baseline, runs, differs, decides, tenant, by)
    if with_:
        done = _evaluated_here(asked, with_, allow or [], store, timeout)
    else:
        done = carried_out(store, "evaluate", asdict(asked), timeout).done
    if as_json:
        print_json(done)
    else:
        _tell(done)
    if not done["passed"]:
        raise typer.Exit(Ending.FAILED)


def _evaluated_here(asked: Asked, targets: list[str], allow: list[str], store: str, wait_s: float) -> dict[str, Any]:
    """With code of this process; only what it showed goes into the store."""
    hosted = [each for target in targets for each in load_target(target, [], allow).hosted]
    hosting = Hosting(list(dict.fromkeys(hosted)), allow)
    definitions = hosting.catalog().all()
    with Client(store).reader() as reader:
        evaluator = Evaluator(
            reader,
            definitions,
            lambda each: publication_of(each, hosting.published_calls(each))["digest"],
            Limits(),
        )
        evaluation = asyncio.run(evaluator.evaluate(asked))
    carried_out(store, "record-evaluation", {"summary": evaluation.summary()}, wait_s)
    return evaluation.as_dict()


def _tell(done: dict[str, Any]) -> None:
    screen = console()
    against = f"held against {done['baseline']}" if done["baseline"] else "no version is current"
    screen.print(Text(f"{done['process']} {done['version']}, {against}", "bold"), soft_wrap=True)
    rows = [_row(each) for each in done["results"][:_SHOWN]]
    screen.print(table(("case", "", "status", "tokens", "cost", "ms", "effects", "now"), rows))
    if len(done["results"]) > _SHOWN:
        screen.print(Text(f"… and {len(done['results']) - _SHOWN} more: --json has all of them.", "dim"))
    for each in done["results"]:
        for problem in each["problems"]:
            where = f" {problem['pointer']}" if problem["pointer"] else ""
            screen.print(Text(f"{each['case']}: {problem['kind']}{where}: {problem['message']}", "red"), soft_wrap=True)
    for finding in done["findings"]:
        if finding["kind"] != "compatible":
            told = f"{finding['part']} {finding['pointer'] or '/'}: {finding['what']}"
            screen.print(Text(f"contract, {finding['kind']}: {told}", "yellow"), soft_wrap=True)
    screen.print(Text(_sums(done), "green" if done["passed"] else "red"), soft_wrap=True)


def _row(case: dict[str, Any]) -> tuple[str, ...]:
    new, old = case["candidate"], case["current"] or {}
    return (
        case["case"],
        "passed" if case["passed"] else "FAILED",
        new["error"] or new["status"],
        str(new["tokens"]),
        new["cost"],
        str(new["duration_ms"]),
        str(len(new["effects"])),
        f"{old['tokens']} tokens, {old['cost']}, {old['duration_ms']} ms, {len(old['effects'])}" if old else "",
    )


def _sums(done: dict[str, Any]) -> str:
    new, old = done["candidate"], done["current"]
    sums = [f"{done['passes']} of {done['cases']} cases passed"]
    for name, unit in (("tokens", "tokens"), ("cost", "dollars"), ("duration_ms", "ms")):
        now = f" (now {old[name]})" if old else ""
        sums.append(f"{new[name]} {unit}{now}")
    return f"{'Passed' if done['passed'] else 'Not passed'}: {', '.join(sums)}."


@reported
def evaluations(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of which process.", show_default=False)],
    store: StoreUrl = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """List what evaluations of a process have shown, newest first."""
    with Client(store).reader() as reader:
        found = evaluation_summaries(reader, name)
    if as_json:
        print_json({"evaluations": found})
    elif found:
        for each in found:
            at, version = each["evaluated_at"][:19], f"{each['version']} beside {each['baseline'] or 'none'}"
            say(f"{at} {version}: {_sums(each)}")
    else:
        console().print(f"No version of {name!r} was evaluated.")


@reported
def require(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of which process.", show_default=False)],
    cases: CasesFile = None,
    recorded: Annotated[int | None, typer.Option(metavar="N", help="Of the last N recorded calls.")] = None,
    min_pass: Annotated[str | None, typer.Option(metavar="SHARE", help="So many cases pass: 98% or 0.98.")] = None,
    max_tokens_increase: Increase = None,
    max_cost_increase: Increase = None,
    max_duration_increase: Increase = None,
    nothing: Annotated[bool, typer.Option("--nothing", help="Require no evaluation any more.")] = False,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Let no version of a process be promoted without an evaluation of its content that shows this."""
    terms: dict[str, Any] = {
        "cases": None if cases is None else digest_of(read_cases(cases)),
        "recorded": recorded,
        "min_pass": share_of(min_pass, "--min-pass"),
        "max_tokens_increase": share_of(max_tokens_increase, "--max-tokens-increase"),
        "max_cost_increase": share_of(max_cost_increase, "--max-cost-increase"),
        "max_duration_increase": share_of(max_duration_increase, "--max-duration-increase"),
    }
    wanted = {key: each for key, each in terms.items() if each is not None}
    if nothing == bool(wanted):
        raise MisuseError("Say what is required, or --nothing", code="invalid_input")
    sent = {"process": name, "terms": wanted or None, "cases_file": cases, "by": by}
    carried_out(store, "require-evaluation", sent, timeout)
    if as_json:
        print_json({"process": name, "requires": wanted or None})
    else:
        say(f"Versions of {name} are promoted {'after such an evaluation' if wanted else 'without an evaluation'}.")
