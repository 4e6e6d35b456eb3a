"""What is measured: every workload, in which environment, with which counts, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

__all__ = ["GROUPS", "Group", "Workload"]

Options = dict[str, float | str]


@dataclass(frozen=True)
class Workload:
    """One script in one contender's environment. `tiny` are the options of `--quick`, laid over `options`.

    In values, `{folder}` is a directory of this run and `{stores}` one that outlives it.
    """

    name: str
    contender: str
    script: str
    options: Options
    tiny: Options


@dataclass(frozen=True)
class Group:
    """Workloads that are compared: they take turns, round after round, so that noise hits all alike."""

    name: str
    rounds: int
    workloads: tuple[Workload, ...]


def _workload(contender: str, name: str, script: str, tiny: Options, **options: float | str) -> Workload:
    return Workload(f"{contender} {name}", contender, script, options, tiny)


_Make = Callable[..., Workload]
_remit: _Make = partial(_workload, "remit")
_dbos: _Make = partial(_workload, "dbos")
_langgraph: _Make = partial(_workload, "langgraph")

_FEW: Options = {"count": 20, "seconds": 0}
_KEPT = "{folder}/rows.db"

GROUPS = (
    Group("sequential", 5, (
        _remit("sequential", "remit_calls.py", _FEW, shape="sequential", count=200),
        _remit("bare commits", "raw_commits.py", {"count": 20}, count=1_000),
        _dbos("sequential", "rival_dbos.py", _FEW, shape="sequential", count=200),
        _langgraph("sequential", "rival_langgraph.py", _FEW, shape="sequential", count=200),
    )),
    Group("fanout", 3, (
        _remit("fanout", "remit_calls.py", _FEW, shape="fanout", count=1_000, keep=_KEPT),
        _remit("raw rows", "raw_sqlite.py", {"least": 1}, like=_KEPT),
        _remit("fanout 10000", "remit_fan_out.py", {"count": 20, "pairs": 2}, count=1_000, pairs=12),
        _dbos("fanout", "rival_dbos.py", _FEW, shape="fanout", count=1_000),
        _langgraph("fanout", "rival_langgraph.py", _FEW, shape="fanout", count=1_000),
    )),
    Group("size", 1, (_remit("size", "remit_size.py", {"count": 50}, count=1_000),)),
    Group("preflight", 3, (_remit("preflight", "remit_preflight.py", {"count": 50}, count=1_000),)),
    Group("policy", 3, (_remit("policy", "remit_policy.py", {"count": 50}, count=1_000),)),
    Group("barrier", 3, (_remit("barrier", "remit_barrier.py", {"count": 50}, count=2_000),)),
    Group("waiting", 1, (_remit("waiting", "remit_waiting.py", {"count": 200}, count=100_000),)),
    Group("replay", 3, (_remit("replay", "remit_replay.py", {"count": 50}, count=10_000),)),
    Group("workflow", 3, (
        _remit("workflow", "remit_workflow.py", {"rounds": 2, "children": 20}, rounds=20, children=500),
    )),
    Group("import", 1, (_remit("import", "remit_import.py", {"times": 2}, times=15),)),
    Group("flat", 1, (
        _remit("flat", "remit_flat.py", {"executions": 500, "blocks": 2, "cache": "{folder}"},
               executions=1_000_000, blocks=80, cache="{stores}"),
    )),
)  # fmt: skip
