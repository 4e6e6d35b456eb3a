"""Runs bodies to their end: on the loop, or apart from it, and records what came of them (L12, L19, L22)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from remit.engine.apart.elsewhere import locate
from remit.engine.apart.remote import RemoteBody, UnfitError
from remit.engine.apart.watchdog import LoopBlocked
from remit.engine.body.leaving import made_to_leave, own_failure
from remit.engine.body.port import ContinueAs
from remit.engine.definitions import Definition
from remit.engine.ending.blame import blame_of, fault_of
from remit.engine.governing.ahead import ahead_of_afresh, ahead_of_result, takes_long
from remit.engine.governing.judgement import judge_input, noted
from remit.engine.terms import note, note_redacted
from remit.engine.values.seam import SeamError
from remit.errors import DefinitionError, ErrorClass, ErrorInfo, StoreError

if TYPE_CHECKING:
    from remit.engine.body.run import Run
    from remit.engine.engine import Engine

__all__ = ["Driver"]

_REAPING_S = 5


class Driver:
    """What happens between the first line of a body and its last."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._quarantined: set[Definition] = set()
        self._reaping: set[asyncio.Task[None]] = set()

    async def drive(self, run: Run) -> None:
        """Run the body to its end and record what came of it."""
        definition = run.definition
        try:
            if self.runs_elsewhere(definition):
                await self._drive_elsewhere(run)
                return
            if definition.takes_input:
                value = await definition.body(definition.input.decode(run.node.record.input))
            else:
                value = await definition.body()
        except LoopBlocked:
            return
        except (GeneratorExit, KeyboardInterrupt) as error:
            if made_to_leave(error, run.task):
                raise
            self._broke_off(run, own_failure(error, "a body"))
        except ContinueAs as error:
            await self._continue_as(run, error.input)
        except BaseException as error:  # SystemExit too: what a body raises ends its execution, not this program
            self._broke_off(run, error)
        else:
            result = self._returned(run, value)
            if result is not None:
                await self._complete(run, result)
        finally:
            run.over()

    def _broke_off(self, run: Run, error: BaseException) -> None:
        """The body did not return."""
        node = run.node
        if not run.valid:
            if not isinstance(error, asyncio.CancelledError | StoreError):
                self._engine.refused(run)
        elif isinstance(error, asyncio.CancelledError):
            message = "The body was cancelled from inside"
            info = ErrorInfo(ErrorClass.DOMAIN, "cancelled", message, {}, node.id, node.record.attempt)
            self._engine.endings.fail(node, info, None)
        else:
            self._raised(run, error)

    def _returned(self, run: Run, value: Any) -> bytes | None:
        """The body's result as it crosses; None where it ended otherwise."""
        node = run.node
        if not run.valid:
            self._engine.refused(run)
            return None
        if run.owes_history:
            run.code_changed(None)
            return None
        unseen = next((answer for answer in run.unseen if not answer.seen), None)
        if unseen is not None and unseen.error is not None:
            self._child_failed(run, unseen.error, unseen.execution_id)
            return None
        try:
            result = run.definition.result.encode(value)
            run.definition.result.decode(result)
        except SeamError as error:
            message = f"{run.definition.name} returned what its annotation does not allow: {error}"
            violation = ErrorInfo(
                ErrorClass.SYSTEM, "contract_violation", message, {"path": error.path}, node.id, node.record.attempt
            )
            self._engine.endings.fail(node, violation, None)
        except Exception as error:
            self._raised(run, error)
        else:
            return result
        return None

    async def _complete(self, run: Run, result: bytes) -> None:
        """The body returned: filters may look through its result for long, and everything else goes on meanwhile (L48)."""
        engine = self._engine
        if engine.governance is not None and takes_long(engine.governance.over(run.node).result, result):
            await ahead_of_result(run, result)
        if run.valid:
            engine.endings.complete(run.node, result)
        else:
            engine.refused(run)

    def _raised(self, run: Run, error: BaseException) -> None:
        node = run.node
        blame = blame_of(error, node.id, node.record.attempt, run.definition.classifier)
        fault = fault_of(blame.children, blame.positions, run.lately(blame.error))
        self._engine.endings.fail(node, blame.error, fault, child_failed=blame.child_failed)

    def _child_failed(self, run: Run, error: ErrorInfo, child_id: str | None) -> None:
        fault = fault_of([child_id] if child_id else [], (), run.lately(error))
        self._engine.endings.fail(run.node, error, fault, child_failed=True)

    async def _continue_as(self, run: Run, value: object) -> None:
        """A fresh history under the same id, root and ledger (L48)."""
        node = run.node
        if not run.valid:
            self._engine.refused(run)
            return
        try:
            payload = run.definition.input.accept(value)
        except SeamError as error:
            info = ErrorInfo(
                ErrorClass.DOMAIN,
                "invalid_input",
                f"continue_as: {error}",
                {"path": error.path},
                node.id,
                node.record.attempt,
            )
            self._engine.endings.fail(node, info, None)
            return
        await self._begin_afresh(run, payload)

    async def _begin_afresh(self, run: Run, payload: bytes) -> None:
        node, record = run.node, run.node.record
        await ahead_of_afresh(run, payload)
        if not run.valid:
            self._engine.refused(run)
            return
        if self._engine.governance is not None:
            passed = judge_input(self._engine.governance, node, run.definition, payload)
            if passed.denial is not None:
                self._engine.endings.fail(node, passed.denial.error(node.id, node.path), None)
                return
            if passed.redacted:
                note_redacted(record, noted(passed.redacted, "input"))
            payload = passed.payload
        self._engine.metering.abandon(node)
        self._engine.stop_run(node)
        record.generation += 1
        note(record, {"since": run.history.next_position})
        record.epoch += 1
        record.input = payload  # its digest stays: that is of what it was called with, by which its caller finds it
        self._engine.durability.touch(node)
        self._engine.launch(node, run.definition)

    def runs_elsewhere(self, definition: Definition) -> bool:
        """Whether its bodies run apart from the engine's loop."""
        return definition.isolation == "process" or definition in self._quarantined

    async def run_elsewhere(self, run: Run) -> dict[str, Any]:
        """How the body ended in another process; in a thread, where none finds its code and nobody asked for a process."""
        definition = run.definition
        place = locate(definition.body, definition)
        problem = "it is not at the top level of a module"
        if place is not None:
            try:
                run.remote = RemoteBody(run, place)
                return await run.remote.drive()
            except UnfitError as unfit:
                problem = f"importing its module there failed ({unfit})"
        if definition.isolation == "process":
            mend = (
                'Define it at the top level of a module, and keep a script\'s start under `if __name__ == "__main__":`.'
            )
            raise DefinitionError(f"{definition.where} cannot be found by another process: {problem}. {mend}")
        run.remote = RemoteBody(run, None)
        return await run.remote.drive()

    async def _drive_elsewhere(self, run: Run) -> None:
        """Run the body in a process of its own, and record what that reports."""
        if run.task is not None:
            self.reap(run.task)  # one that was just stopped has yet to kill its process
        end = await self.run_elsewhere(run)
        if not run.valid:
            self._engine.refused(run)
        elif "continue_as" in end:
            await self._begin_afresh(run, end["continue_as"])
        elif "result" in end and not run.owes_history:
            await self._complete(run, end["result"])
        elif "result" in end:
            run.code_changed(None)
        else:
            error = end["error"]
            fault = fault_of(end.get("children", ()), end.get("positions", ()), run.lately(error))
            self._engine.endings.fail(run.node, error, fault, child_failed=end.get("child_failed", False))

    def cut_off(self, run: Run, where: str, step: str | None) -> None:
        """A body has blocked the loop: it goes on in a process of its own, by replay, or in a thread where none finds its code (L22).

        A step is not run again, since it may have had its effect: it has failed, and says how to mend it.
        """
        node = run.node
        if step is not None or run.stopped or run.epoch != node.record.epoch:
            return
        message = f'{run.definition.name} blocked the event loop in {where} and was cut off. Move the work into a sync @step, or use isolation="process".'
        self._engine.alert(node, "blocked_event_loop", message, {"where": where})
        self._quarantined.add(run.definition)
        run.restart()

    def reap(self, task: asyncio.Task[None]) -> None:
        """Wait for a killed process beside everything else, so that none is left behind."""
        self._reaping.add(task)
        task.add_done_callback(self._reaping.discard)

    async def reaped(self) -> None:
        """Wait until the processes that were killed are gone."""
        deadline = self._engine.loop.time() + _REAPING_S
        while self._reaping and self._engine.loop.time() < deadline:
            await asyncio.wait(self._reaping, timeout=_REAPING_S, return_when=asyncio.FIRST_COMPLETED)
