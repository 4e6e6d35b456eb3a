"""JSON whose integers stay what they are, beyond 64 bits too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from remit.engine.values.plain_json import dumps, loads


@pytest.mark.parametrize("data", [{"n": 2**64}, [-(2**70), 1.5, None], {"n": 10**400, "text": "é"}, {"n": 1}])
def test_L13_integers_come_back_exact(data: Any) -> None:
    assert loads(dumps(data)) == data
    assert loads(dumps(data, indent=True)) == data


def test_what_json_cannot_hold_is_made_data_by_default() -> None:
    assert loads(dumps({"n": 2**64, "kind": slice(2)}, repr)) == {"n": 2**64, "kind": "slice(None, 2, None)"}
    assert dumps({"n": 1}, indent=True) == b'{\n  "n": 1\n}'
    assert loads(dumps([2**64, datetime(2026, 1, 1, tzinfo=UTC)], str))[0] == 2**64
    with pytest.raises(ValueError, match="object"):
        dumps({"x": object()})
