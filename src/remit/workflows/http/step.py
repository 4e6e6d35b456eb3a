"""HTTP steps: one request as one durable tool call, with a price, whose parameters are recorded without secrets (L26, L29)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from remit.engine.body.port import current_port
from remit.engine.definitions import StepDefinition
from remit.engine.values.seam import Seam
from remit.kernel.durations import milliseconds
from remit.kernel.retry import Retry
from remit.kernel.usage import Amount, micros
from remit.store.records import EffectKind
from remit.workflows.format.model import HttpStep
from remit.workflows.http.access import HttpAccess
from remit.workflows.http.requests import Request, RequestTemplate
from remit.workflows.running.flow import Ended, Flow, Frame
from remit.workflows.running.reckoning import Asked
from remit.workflows.steps.tries import tried

__all__ = ["HttpUnit", "perform"]

_OUTPUT_KEY = "http_response"


async def _send(method: str, url: str, headers: dict[str, str], body: Any) -> dict[str, Any]:
    """Stands for the sending of a request in its definition: what it is called with, as it is recorded."""
    raise TypeError(
        f"{method} {url} ({len(headers)} headers, {type(body).__name__}) lacks its secrets: it is not sent so"
    )


async def perform(
    definition: StepDefinition, request: Request, access: HttpAccess, includes: Sequence[str], **counts: int
) -> Any:
    """Send a request as one durable step, or give what it recorded.

    Its parameters are the request as it may be shown, and which visit and attempt this is where it is not the first.
    """

    async def sent(**_recorded: Any) -> dict[str, Any]:
        from remit.workflows.http.sending import send

        return await send(request, access, includes)

    parameters = request.shown() | {name: count for name, count in counts.items() if count > 1}
    return await current_port(f"HTTP step {definition.name!r}").step(replace(definition, function=sent), parameters)


@dataclass(slots=True)
class HttpUnit:
    """A compiled HTTP step."""

    spec: HttpStep
    template: RequestTemplate
    access: HttpAccess
    definition: StepDefinition
    asked: Asked
    retry: Retry | None

    @classmethod
    def of(cls, step: HttpStep, roots: frozenset[str], access: HttpAccess, where: str) -> HttpUnit:
        """`roots` are what its expressions may begin with; raises DefinitionError."""
        template = RequestTemplate(step.http_config, roots, access, where)
        rule = step.retry or step.http_config.retry_policy
        retry = rule.policy() if rule is not None else Retry() if step.on_failure is not None else None
        return cls(step, template, access, _definition(step, where), Asked(template.paths), retry)

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """Send the request, and keep what `includes` names of its response under `output_key`."""
        self.asked.check(flow)
        request = self.template.fill(flow.names(frame))

        async def attempt(number: int) -> Any:
            return await perform(self.definition, request, self.access, self.spec.includes, visit=visit, attempt=number)

        response = await tried(self.retry, attempt)
        return Ended(flow.merge({self.spec.output_key or _OUTPUT_KEY: response}))


def _definition(step: HttpStep, where: str) -> StepDefinition:
    price = micros(step.cost) if step.cost is not None else 0
    limits = [milliseconds(each) for each in (step.timeout, step.http_config.timeout) if each is not None]
    return StepDefinition(
        name=step.name,
        kind=EffectKind.TOOL,
        function=_send,
        is_async=True,
        result=Seam(Any, where=f"{where}, response"),
        maximum=Amount(0, price),
        flat_cost=price,
        timeout_ms=min(limits),
        where=where,
    )
