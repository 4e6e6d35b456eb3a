"""Whoever lays hands on the audit log, by SQL on the file itself or in an export, is found, and the row is named (L49)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import orjson
import pytest

from remit import MisuseError, Remit, call_process, process, tool
from remit.control.auditing.checkpoints import Verdict, checkpoint_in, export_lines, verify_lines, verify_store
from remit.control.auditing.signing import is_signed, make_keys, sign
from remit.control.client import Client
from remit.kernel.audit import hash_of
from tests.laws.scene import open_store


@tool("desk.look_up")
async def look_up(name: str) -> str:
    return name


@process("leaf")
async def leaf(name: str) -> str:
    return await look_up(name)


@process("branch", calls=[leaf])
async def branch(name: str) -> str:
    return (await call_process(leaf, name)).unwrap()


async def _make(directory: Path) -> list[str]:
    async with Remit(open_store(directory), processes=[leaf, branch]) as app:
        roots = [await app.start(branch, name, tenant="acme", owner="ann") for name in ("one", "two")]
        for root in roots:
            await root.outcome(timeout=10)
        await app.publish(leaf, by="ann")
        await app.promote("leaf@1.0.0", by="bob")
        return [root.id for root in roots]


class Log:
    """A store with two traces and a few acts, an export of it, and copies to lay hands on."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.roots = asyncio.run(_make(directory))
        self.file = directory / "remit.db"
        self.export = self.lines(directory)
        self._copies = 0

    def lines(self, directory: Path, **terms: Any) -> list[bytes]:
        with Client(open_store(directory)).reader() as reader:
            return list(export_lines(reader, reader.audit_chains(), 1, **terms))

    def rows(self) -> list[tuple[str, int]]:
        return [tuple(row) for row in apsw.Connection(str(self.file)).execute("SELECT chain, seq FROM audit")]

    def after(self, *statements: Any, checkpoint: bool = False) -> Verdict:
        """What verifying says of a copy on which these statements, or functions of its connection, have run."""
        self._copies += 1
        directory = self._directory / str(self._copies)
        directory.mkdir()
        shutil.copy(self.file, directory / "remit.db")
        connection = apsw.Connection(str(directory / "remit.db"))
        for statement in statements:
            connection.execute(*statement) if isinstance(statement, tuple) else statement(connection)
        connection.close()
        known = checkpoint_in(self.export, "export") if checkpoint else None
        with Client(open_store(directory)).reader() as reader:
            return verify_store(reader, known)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return Log(tmp_path_factory.mktemp("audit") / "log")


def named(verdict: Verdict) -> set[tuple[str, int]]:
    return {(each.chain, each.seq) for each in verdict.findings}


def faults(verdict: Verdict) -> set[str]:
    return {str(each.fault) for each in verdict.findings}


def test_L49_an_untouched_log_has_no_findings(log: Log) -> None:
    verdict = log.after(checkpoint=True)
    assert verdict.findings == []
    assert (verdict.chains, verdict.entries) == (3, len(log.rows())) == (3, 2 * 5 + 2)


EDITS = {
    "at": "at + 1",
    "kind": "'answered'",
    "execution": "execution || '.1'",
    "actor": "'mallory'",
    "details": "CAST(replace(CAST(details AS TEXT), '{', '{ ') AS BLOB)",
    "hash": "randomblob(32)",
    "seq": "seq + 100",
    "chain": "'tenant:mallory'",
}


@pytest.mark.parametrize("column", EDITS)
def test_L49_each_column_edited_in_each_row_is_found(log: Log, column: str) -> None:
    for chain, seq in log.rows():
        edit = f"UPDATE audit SET {column} = {EDITS[column]} WHERE chain = ? AND seq = ?"
        verdict = log.after((edit, (chain, seq)), checkpoint=True)
        assert (chain, seq) in named(verdict), (column, chain, seq, verdict.findings)
        if column not in {"seq", "chain"}:
            others = named(verdict) - {(chain, seq), (chain, 0)}  # 0: then the execution lacks its admission
            assert others == set() or column == "hash"
            assert log.after((edit, (chain, seq))).findings, "without a checkpoint too"


def test_L49_each_row_deleted_is_found(log: Log) -> None:
    for chain, seq in log.rows():
        delete = ("DELETE FROM audit WHERE chain = ? AND seq = ?", (chain, seq))
        verdict = log.after(delete, checkpoint=True)
        assert (chain, seq) in named(verdict)
        assert faults(verdict) <= {"missing", "cut"}


def test_L49_a_row_put_in_between_is_found(log: Log) -> None:
    root = log.roots[0]
    verdict = log.after(
        ("UPDATE audit SET seq = -seq - 1 WHERE chain = ? AND seq >= 3", (root,)),
        ("UPDATE audit SET seq = -seq WHERE chain = ? AND seq < 0", (root,)),
        ("INSERT INTO audit SELECT chain, 3, at, kind, execution, 'mallory', details, hash FROM audit WHERE chain = ? AND seq = 2", (root,)),
    )  # fmt: skip
    assert (root, 3) in named(verdict)


def test_L49_a_row_appended_without_the_chain_is_found(log: Log) -> None:
    root = log.roots[0]
    append = "INSERT INTO audit SELECT chain, 6, at, 'answered', execution, 'ann', details, randomblob(32) FROM audit WHERE chain = ? AND seq = 5"
    assert named(log.after((append, (root,)))) == {(root, 6)}


def _swap(connection: apsw.Connection, first: tuple[str, int], second: tuple[str, int]) -> None:
    for (chain, seq), to in ((first, ("x", 1)), (second, first), (("x", 1), second)):
        connection.execute("UPDATE audit SET chain = ?, seq = ? WHERE chain = ? AND seq = ?", (*to, chain, seq))


def test_L49_two_rows_that_changed_places_are_found(log: Log) -> None:
    one, two = log.roots
    within = log.after(lambda connection: _swap(connection, (one, 2), (one, 4)))
    assert {(one, 2), (one, 4)} <= named(within)
    across = log.after(lambda connection: _swap(connection, (one, 3), (two, 3)))
    assert {(one, 3), (two, 3)} <= named(across)


def test_L49_two_chains_that_changed_places_are_found(log: Log) -> None:
    one, two = log.roots

    def swap(connection: apsw.Connection) -> None:
        for chain, to in ((one, "x"), (two, one), ("x", two)):
            connection.execute("UPDATE audit SET chain = ? WHERE chain = ?", (to, chain))

    assert {(one, 1), (two, 1)} <= named(log.after(swap))


def test_L49_a_tail_cut_off_is_found_with_a_checkpoint(log: Log) -> None:
    root = log.roots[0]
    cut = ("DELETE FROM audit WHERE chain = ? AND seq >= 4", (root,))
    assert log.after(cut).findings == [], "nobody can tell without one"
    verdict = log.after(cut, checkpoint=True)
    assert (faults(verdict), named(verdict)) == ({"cut"}, {(root, 4)})
    assert "rows 4 to 5" in verdict.findings[0].message


def test_L49_a_whole_chain_that_is_gone_is_found_without_one_too(log: Log) -> None:
    root = log.roots[0]
    gone = ("DELETE FROM audit WHERE chain = ?", (root,))
    assert {each.message.split()[3] for each in log.after(gone).findings} == {root, f"{root}.1"}
    assert "cut" in faults(log.after(gone, checkpoint=True))
    assert faults(log.after(("DELETE FROM audit WHERE chain = 'tenant:'",), checkpoint=True)) == {"cut"}


def test_L49_an_execution_put_in_has_no_admission(log: Log) -> None:
    columns = [row[1] for row in apsw.Connection(str(log.file)).execute("PRAGMA table_info(executions)")]
    rest = ", ".join(name for name in columns if name not in {"n", "id", "key"})
    insert = f"INSERT INTO executions (n, id, {rest}) SELECT 999, id || '.9', {rest} FROM executions WHERE id = ?"
    (finding,) = log.after((insert, (log.roots[0],))).findings
    assert f"{log.roots[0]}.9" in finding.message


def _write_anew(connection: apsw.Connection, chain: str, since: int) -> None:
    """What somebody does who knows how the chain is made, and may write the file."""
    rows = list(connection.execute("SELECT * FROM audit WHERE chain = ? ORDER BY seq", (chain,)))
    previous = rows[since - 2][7]
    for row in rows[since - 1 :]:
        fields = (*row[:5], "mallory", row[6])
        previous = hash_of(previous, *fields)
        connection.execute("UPDATE audit SET actor = 'mallory', hash = ? WHERE chain = ? AND seq = ?", (previous, chain, row[1]))


def test_L49_a_chain_written_anew_is_found_with_a_checkpoint(log: Log) -> None:
    root = log.roots[0]
    assert log.after(lambda connection: _write_anew(connection, root, 3)).findings == []
    verdict = log.after(lambda connection: _write_anew(connection, root, 3), checkpoint=True)
    assert (faults(verdict), named(verdict)) == ({"rewritten"}, {(root, 5)})


@pytest.mark.parametrize("edit", ["id = randomblob(16)", "first_n = first_n + 1"])
def test_L49_another_identity_or_beginning_of_the_log_is_found(log: Log, edit: str) -> None:
    verdict = log.after((f"UPDATE audit_store SET {edit}",), checkpoint=True)
    assert {*((root, 1) for root in log.roots), ("tenant:", 1), ("", 0)} == named(verdict)
    assert log.after(("DELETE FROM audit_store",)).findings


def test_L49_another_store_s_checkpoint_is_foreign(log: Log, tmp_path: Path) -> None:
    other = Log(tmp_path / "other")
    with Client(open_store(log.file.parent)).reader() as reader:
        assert "foreign" in faults(verify_store(reader, checkpoint_in(other.export, "other")))


def test_L49_a_text_that_is_none_and_a_time_that_is_none_are_told_of(log: Log) -> None:
    root = log.roots[0]
    bad = ("UPDATE audit SET actor = CAST(x'ff' AS TEXT), at = 9223372036854775807, details = x'7b' WHERE chain = ? AND seq = 2", (root,))
    assert named(log.after(bad)) == {(root, 2)}
    with pytest.raises(apsw.ConstraintError):
        log.after(("UPDATE audit SET details = 'a text' WHERE chain = ?", (root,)))


async def test_L49_an_edited_row_is_still_shown(tmp_path: Path) -> None:
    (root, *_) = await _make(tmp_path)
    connection = apsw.Connection(str(tmp_path / "remit.db"))
    connection.execute("UPDATE audit SET at = 9223372036854775807, details = x'7b' WHERE chain = ? AND seq = 2", (root,))
    connection.close()
    async with Remit(open_store(tmp_path), processes=[leaf, branch]) as app:
        (edited,) = [each for each in await app.audit(execution_id=root) if each.seq == 2]
    assert (edited.at, edited.details) == (None, "{")


# -- exports ----------------------------------------------------------------------------------------------------------


def test_L49_an_export_verifies_without_its_store(log: Log) -> None:
    verdict = verify_lines(log.export, "export")
    assert (verdict.findings, verdict.chains, verdict.entries) == ([], 3, 12)
    later = log.lines(log.file.parent, since_ms=orjson.loads(log.export[2])["at"])
    assert verify_lines(later, "later").findings == []


LINES: dict[str, Callable[[list[bytes]], None]] = {
    "edited": lambda lines: lines.__setitem__(3, lines[3].replace(b'"actor":""', b'"actor":"x"')),
    "deleted": lambda lines: lines.pop(3),
    "the last of a chain deleted": lambda lines: lines.pop(4),
    "inserted": lambda lines: lines.insert(3, lines[2]),
    "swapped": lambda lines: lines.insert(2, lines.pop(3)),
    "no entry": lambda lines: lines.__setitem__(3, b"{}\n"),
    "another chain put in": lambda lines: lines.insert(0, lines[0].replace(b'"exec_', b'"exec_x')),
    "the whole chain": lambda lines: [lines.pop(0) for _ in range(5)].clear(),
}


@pytest.mark.parametrize("name", LINES)
def test_L49_an_export_that_was_changed_is_found(log: Log, name: str) -> None:
    lines = list(log.export)
    LINES[name](lines)
    assert lines != log.export
    assert verify_lines(lines, "export").findings


def test_L49_an_export_without_its_end_is_refused(log: Log) -> None:
    for lines in (log.export[:-1], [], [b"nothing\n"], [b'{"checkpoint": 2}']):
        with pytest.raises(MisuseError, match="does not end with a checkpoint"):
            verify_lines(lines, "export")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    private = tmp_path / "audit.key"
    return private, make_keys(private)


def test_L49_a_signed_checkpoint_is_verified_with_the_public_key(log: Log, keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    assert private.stat().st_mode & 0o777 == 0o600
    signed = log.lines(log.file.parent, sign=lambda content: sign(content, private))

    def told(lines: list[bytes], key: Path = public) -> set[str]:
        return faults(verify_lines(lines, "export", lambda content, signature: is_signed(content, signature, key)))

    assert told(signed) == told(signed, private) == set()
    assert told(log.export) == {"forged"}, "it is not signed"
    end = orjson.loads(signed[-1])
    assert told([*signed[:-1], orjson.dumps({**end, "at": 2})]) == {"forged"}
    assert told(signed, make_keys(tmp_path / "other.key")) == {"forged"}
    cut = orjson.loads(signed[-1])
    cut["chains"][log.roots[0]][2:] = [4, orjson.loads(signed[3])["hash"]]
    assert told([*signed[:4], *signed[5:-1], orjson.dumps(cut)]) == {"forged"}, "a tail cut off, and the checkpoint to it"


def test_L49_what_is_no_key_is_refused(keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    (tmp_path / "text").write_text("no key")
    (tmp_path / "half").write_text("-----BEGIN PRIVATE KEY-----\n")
    for file in (public, tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(MisuseError):
            sign(b"", file)
    for file in (tmp_path / "text", tmp_path / "half", tmp_path / "missing"):
        with pytest.raises(MisuseError):
            is_signed(b"", b"", file)
    with pytest.raises(MisuseError, match="cannot be made"):
        make_keys(private)
