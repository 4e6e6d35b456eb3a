"""What an app does with policies: apply, withdraw, show, explain (L43)."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from remit.control.auditing.refusals import on_record
from remit.control.policies.views import (
    PolicyExplanation,
    PolicyView,
    PolicyViews,
    explain,
    policy_view,
    policy_views,
    unknown_policy,
)
from remit.engine.engine import Engine
from remit.engine.values.texts import optional_text, short_text
from remit.errors import InvalidInput, MisuseError
from remit.store.records import PolicyRecord

if TYPE_CHECKING:
    from remit.control.policies.files import PolicyFile

__all__ = ["Governed", "PolicyDesk"]


class PolicyDesk:
    """What is done to the policies of one engine. Each act is durable when it returns; a refused one has changed nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @on_record
    async def apply(self, sources: Mapping[str, str], by: str | None = None) -> PolicyViews:
        """Put policies in force, all or none; texts by the names of their files.

        Raises PolicyInvalid with every finding, MisuseError `policy_exists` for a version that was applied with other content.
        """
        from remit.control.policies.files import read_policies

        optional_text(by, "by")
        files = await asyncio.to_thread(read_policies, sources)
        engine = self._engine
        records = [self._record(each, by) for each in files]
        names = [each.name for each in records]
        twice = next((each for each in names if names.count(each) > 1), None)
        if twice is not None:
            raise MisuseError(f"Policy {twice!r} is given twice: only one version of it can be in force", code="policy_exists")
        for record in records:
            known = engine.policies.version(record.name, record.version)
            if known is None or not known.in_force:
                engine.policies.apply(record)
        await engine.durability.barrier()
        return [policy_view(self._known(each)) for each in records]

    def _record(self, file: PolicyFile, by: str | None) -> PolicyRecord:
        content = orjson.dumps(file.content, option=orjson.OPT_SORT_KEYS)
        digest = sha256(content).digest()
        name, version = file.content["policy"], file.content["version"]
        known = self._engine.policies.version(name, version)
        if known is not None and known.digest != digest:
            raise MisuseError(
                f"Policy {name} {version} was applied with other content, and a version never changes: give this one a higher version",
                code="policy_exists",
                policy=name,
                version=version,
            )
        return PolicyRecord(name, version, digest, content, file.text, self._engine.clock.now(), by)

    def _known(self, record: PolicyRecord) -> PolicyRecord:
        found = self._engine.policies.version(record.name, record.version)
        assert found is not None
        return found

    @on_record
    async def remove(self, name: str, by: str | None = None) -> PolicyView:
        """Withdraw a policy for every call from now on; raises MisuseError `unknown_policy`."""
        engine = self._engine
        short_text(name, "name")
        optional_text(by, "by")
        current = engine.policies.current(name)
        if current is None:
            raise unknown_policy(name, engine.store.policies())
        ended = engine.policies.remove(current, by)
        await engine.durability.barrier()
        return policy_view(ended)


class Governed(ABC):
    """The part of `Remit` that deals with policies."""

    _desk: PolicyDesk | None

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """The engine; raises MisuseError where the app is not open."""

    def _policies(self) -> PolicyDesk:
        _ = self.engine
        assert self._desk is not None
        return self._desk

    async def apply_policy(self, *policies: str | PathLike[str], by: str | None = None) -> PolicyViews:
        """Put policies in force for every call from now on: paths of YAML files, or a text of several lines that is one.

        All or none; one that is in force already stays as it is. See `PolicyDesk.apply` for what is refused.
        """
        from remit.control.policies.files import texts_of

        wrong = [each for each in policies if not isinstance(each, str | PathLike)]
        if wrong:
            raise InvalidInput(f"apply_policy({wrong[0]!r}): give the path of a policy file, or its text")
        texts = [each for each in policies if isinstance(each, str) and "\n" in each]
        sources = {f"<policy {index + 1}>": text for index, text in enumerate(texts)}
        sources |= texts_of(Path(each) for each in policies if each not in texts)
        return await self._policies().apply(sources, by)

    async def remove_policy(self, name: str, *, by: str | None = None) -> PolicyView:
        """Withdraw a policy for every call from now on; raises MisuseError `unknown_policy`."""
        return await self._policies().remove(name, by)

    async def policies(self, reference: str | None = None, *, ended: bool = False) -> PolicyViews:
        """The policies in force; with `ended`, those that were withdrawn too. `reference`: a name, or 'pii@1.0.0'."""
        return policy_views(self.engine.store, reference, ended=ended)

    async def explain_policy(self, execution_id: str) -> PolicyExplanation:
        """Which policies an execution was admitted under and why, which limits won, and every verdict."""
        return explain(self.engine.store, execution_id)
