"""The key file: made once, 0600, of no use without its KEK, and without a key once that is destroyed (L53)."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import apsw
import pytest

from remit import Keyring, MisuseError, StoreError

KEK = base64.b64encode(bytes(range(32))).decode()
PLAIN, ROW = b'{"name":"Ada"}', b"executions\0exec_1\0input"


def opened(directory: Path, **how: str) -> Keyring:
    keyring = Keyring(directory / "keys.db", **how)
    keyring.open(None)
    return keyring


def stored_keys(directory: Path) -> list[bytes]:
    connection = apsw.Connection(str(directory / "keys.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [key for (key,) in connection.execute("SELECT key FROM keys WHERE key IS NOT NULL").fetchall()]
    finally:
        connection.close()


def problem_of(directory: Path, ring: str | None = None, **how: str) -> str:
    with pytest.raises(StoreError) as refused:
        Keyring(directory / "keys.db", **how).open(ring)
    assert refused.value.code == "keyring_unusable"
    return str(refused.value)


def test_L53_the_file_is_its_owners_alone_and_made_by_opening_only(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "keys.db")
    assert not keyring.path.exists()
    ring = keyring.open(None)
    assert keyring.path.stat().st_mode & 0o777 == 0o600
    assert Keyring(keyring.path).open(ring) == ring
    assert [each.name for each in tmp_path.iterdir()] == ["keys.db"]


def test_L53_a_key_is_in_the_file_before_anything_is_sealed_with_it(tmp_path: Path) -> None:
    sealed = opened(tmp_path).seal("acme", PLAIN, ROW)
    assert PLAIN not in sealed
    assert opened(tmp_path).unseal(sealed, ROW) == PLAIN


def test_L53_two_processes_that_need_a_tenants_first_key_get_the_same_one(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    sealed = [one.seal("acme", PLAIN, ROW), other.seal("acme", PLAIN, ROW)]
    assert len(stored_keys(tmp_path)) == 1
    assert [other.unseal(sealed[0], ROW), one.unseal(sealed[1], ROW)] == [PLAIN, PLAIN]


@pytest.mark.parametrize("change", [b"executions\0exec_2\0input", b"executions\0exec_1\0result", b"journal\0exec_1\0input"])
def test_L53_a_payload_in_another_place_is_refused(tmp_path: Path, change: bytes) -> None:
    keyring = opened(tmp_path)
    sealed = keyring.seal("acme", PLAIN, ROW)
    with pytest.raises(StoreError) as refused:
        keyring.unseal(sealed, change)
    assert refused.value.code == "payload_damaged"


@pytest.mark.parametrize("place", [-1, 12, 25])
def test_L53_a_payload_that_was_changed_is_refused(tmp_path: Path, place: int) -> None:
    keyring = opened(tmp_path)
    sealed = bytearray(keyring.seal("acme", PLAIN, ROW))
    sealed[place] ^= 1
    with pytest.raises(StoreError) as refused:
        keyring.unseal(bytes(sealed), ROW)
    assert refused.value.code == "payload_damaged"


def test_L53_after_a_rotation_new_payloads_have_the_new_key_and_old_ones_stay_readable(tmp_path: Path) -> None:
    keyring = opened(tmp_path)
    before = keyring.seal("acme", PLAIN, ROW)
    made = keyring.rotate("acme")
    after = keyring.seal("acme", PLAIN, ROW)
    assert after[1:9].hex() == made.id != before[1:9].hex()
    assert [opened(tmp_path).unseal(each, ROW) for each in (before, after)] == [PLAIN, PLAIN]
    assert [each.tenant for each in keyring.keys(None)] == ["acme", "acme"]


def test_L53_a_destroyed_key_is_nowhere_and_what_it_sealed_is_known_to_be_erased(tmp_path: Path) -> None:
    keyring = opened(tmp_path)
    sealed, others = keyring.seal("acme", PLAIN, ROW), keyring.seal("globex", PLAIN, ROW)
    (key, kept) = stored_keys(tmp_path)
    mark = keyring.mark("acme")
    later = keyring.rotate("acme")
    assert keyring.destroy("acme", mark) == 1
    assert keyring.destroy("acme", mark) == 0
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert key not in content
    assert kept in content
    for reader in (keyring, opened(tmp_path)):
        assert reader.unseal(sealed, ROW) is None
        assert reader.unseal(others, ROW) == PLAIN
        assert reader.unseal(reader.seal("acme", PLAIN, ROW), ROW) == PLAIN
    assert [each.id for each in keyring.keys("acme") if each.destroyed_at is None] == [later.id]


@pytest.mark.parametrize("how", ["env", "file"])
def test_L53_with_a_kek_the_file_holds_no_data_key_in_the_clear(tmp_path: Path, monkeypatch, how: str) -> None:
    monkeypatch.setenv("ACME_KEK", KEK)
    (tmp_path / "kek").write_text(bytes(range(32)).hex() + "\n")
    place = "env:ACME_KEK" if how == "env" else f"file:{tmp_path / 'kek'}"
    sealed = opened(tmp_path, kek=place).seal("acme", PLAIN, ROW)
    (stored,) = stored_keys(tmp_path)
    assert len(stored) == 12 + 32 + 16
    assert opened(tmp_path, kek=place).unseal(sealed, ROW) == PLAIN


def test_L53_a_wrong_or_missing_kek_is_told_before_anything_is_done(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RIGHT", KEK)
    monkeypatch.setenv("WRONG", base64.b64encode(os.urandom(32)).decode())
    monkeypatch.setenv("SHORT", "c2hvcnQ=")
    assert "not 32 bytes" in problem_of(tmp_path, kek="env:SHORT")
    assert "no environment variable ABSENT" in problem_of(tmp_path, kek="env:ABSENT")
    assert "cannot be read" in problem_of(tmp_path, kek=f"file:{tmp_path / 'none'}")
    assert '"env:NAME" or "file:PATH"' in problem_of(tmp_path, kek="secret")
    assert list(tmp_path.iterdir()) == []
    opened(tmp_path, kek="env:RIGHT")
    content = (tmp_path / "keys.db").read_bytes()
    assert "is not the one" in problem_of(tmp_path, kek="env:WRONG")
    assert "sealed with a KEK" in problem_of(tmp_path)
    assert (tmp_path / "keys.db").read_bytes() == content


def test_L53_a_kek_for_a_file_without_one_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RIGHT", KEK)
    opened(tmp_path)
    assert "without a KEK" in problem_of(tmp_path, kek="env:RIGHT")


def test_L53_a_missing_or_foreign_file_is_told_and_none_is_made(tmp_path: Path) -> None:
    assert "there is no key file" in problem_of(tmp_path, ring="0123456789abcdef")
    assert list(tmp_path.iterdir()) == []
    other = apsw.Connection(str(tmp_path / "keys.db"))
    other.execute("CREATE TABLE t (x)")
    other.close()
    assert "no key file of Remit's" in problem_of(tmp_path)
    (tmp_path / "keys.db").unlink()
    mine = opened(tmp_path).open(None)
    assert f"this file is {mine}" in problem_of(tmp_path, ring="0123456789abcdef")
    assert "does its directory exist" in problem_of(tmp_path / "nowhere")


def test_L53_an_unknown_key_and_an_impossible_tenant_are_told(tmp_path: Path) -> None:
    sealed = opened(tmp_path).seal("acme", PLAIN, ROW)
    (tmp_path / "keys.db").unlink()
    with pytest.raises(StoreError) as missing:
        opened(tmp_path).unseal(sealed, ROW)
    assert missing.value.code == "key_missing"
    with pytest.raises(MisuseError):
        opened(tmp_path).rotate("x" * 501)


def test_L53_without_the_extra_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "remit.store.aes", None)
    assert "remit[encryption]" in problem_of(tmp_path)


def test_the_environment_names_file_and_kek(tmp_path: Path, monkeypatch) -> None:
    for name in ("REMIT_KEYS", "REMIT_KEK", "REMIT_KEK_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert Keyring.of_environment() is None
    monkeypatch.setenv("REMIT_KEYS", str(tmp_path / "keys.db"))
    (tmp_path / "kek").write_text(KEK)
    monkeypatch.setenv("REMIT_KEK_FILE", str(tmp_path / "kek"))
    made = Keyring.of_environment()
    assert made is not None
    ring = made.open(None)
    monkeypatch.setenv("REMIT_KEK", KEK)
    again = Keyring.of_environment()
    assert again is not None
    assert again.open(ring) == ring
