"""`remit audit export | verify | keygen`: the audit log for who was not there, and whether it is what was written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.text import Text

from remit.cli.options import DEFAULT_STORE, JsonFlag, StoreUrl
from remit.cli.output import Ending, console, print_json, reported
from remit.control.auditing.audit import chain_named
from remit.control.auditing.checkpoints import Verdict, checkpoint_in, export_lines, verify_lines, verify_store
from remit.control.client import Client
from remit.errors import MisuseError

__all__ = ["audit"]

_SHOWN = 20
audit = typer.Typer(name="audit", no_args_is_help=True, help="Export the audit log, and verify that nobody has laid hands on it.")


@audit.command("export")
@reported
def export(
    root: Annotated[str | None, typer.Option(metavar="ID", help="Only the chain of this execution's trace.")] = None,
    tenant: Annotated[str | None, typer.Option(metavar="T", help="Only a tenant's chain and those of its roots.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only from then on: 2026-03-01, or with a time, UTC.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="A new file, instead of standard output.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The private key that signs the checkpoint.")] = None,
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Write entries as JSON Lines, and as the last line a checkpoint that tells where each chain ends."""
    since_ms, now_ms = _since(since), int(time.time() * 1_000)
    with Client(store).reader() as reader:
        if tenant is not None and root is None:
            chains = reader.audit_chains_of(tenant)
        else:
            chains = reader.audit_chains(chain_named(root, tenant), since_ms)
        with _written(output) as file:
            for line in export_lines(reader, chains, now_ms, since_ms=since_ms, sign=_signing(key)):
                file.write(line)
    if key is None:
        console(stderr=True).print("The checkpoint is not signed: sign it with --key FILE (`remit audit keygen FILE`).", style="yellow")


@audit.command("verify")
@reported
def verify(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="An export; else the store.", show_default=False)] = None,
    checkpoint: Annotated[Path | None, typer.Option(metavar="FILE", help="An earlier export, to hold the store against.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="The public key that the checkpoint must be signed with.")] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """Find edited, deleted, inserted and moved rows, and with a checkpoint cut and rewritten ones. Exits 1 where there are any."""
    is_signed = _signed_by(key)
    if file is not None:
        if checkpoint is not None:
            raise MisuseError("An export brings its checkpoint along: --checkpoint is for a store", code="invalid_input")
        with _read(file) as lines:
            verdict = verify_lines(lines, str(file), is_signed)
    else:
        if key is not None and checkpoint is None:
            raise MisuseError("--key is for the signature of a checkpoint: name one with --checkpoint", code="invalid_input")
        known = None
        if checkpoint is not None:
            with _read(checkpoint) as lines:
                known = checkpoint_in(lines, str(checkpoint))
        with Client(store).reader() as reader:
            verdict = verify_store(reader, known, is_signed)
    _tell(verdict, with_checkpoint=file is not None or checkpoint is not None, as_json=as_json)
    if verdict.findings:
        raise typer.Exit(Ending.FAILED)


@audit.command("keygen")
@reported
def keygen(file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)], as_json: JsonFlag = False) -> None:
    """Make a key that signs checkpoints: FILE, mode 0600, and FILE.pub for whoever verifies."""
    from remit.control.auditing.signing import make_keys

    public = make_keys(file)
    if as_json:
        print_json({"private": str(file), "public": str(public)})
    else:
        console().print(Text(f"{file} signs, {public} verifies. Keep the first where the store's owner cannot read it.", "green"), soft_wrap=True)


def _tell(verdict: Verdict, *, with_checkpoint: bool, as_json: bool) -> None:
    if as_json:
        found = [each._asdict() for each in verdict.findings]
        print_json({"ok": not found, "chains": verdict.chains, "entries": verdict.entries, "checked": verdict.checked, "findings": found})
        return
    screen = console()
    for each in verdict.findings[:_SHOWN]:
        screen.print(Text.assemble((f"{each.fault}: ", "bold red"), each.message), soft_wrap=True)
    if len(verdict.findings) > _SHOWN:
        screen.print(f"… and {len(verdict.findings) - _SHOWN} more: --json has all of them")
    held = f"{verdict.entries:,} entries in {_counted(verdict.chains, 'chain')}, held against {', '.join(['themselves', *verdict.checked])}"
    told = _counted(len(verdict.findings), "finding")
    screen.print(Text(f"{held}: {told}.", "red" if verdict.findings else "green"), soft_wrap=True)
    if not with_checkpoint:
        told = "A tail that was cut off, or a chain written anew, is found with --checkpoint FILE only."
        screen.print(told, style="dim", soft_wrap=True)


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def _since(text: str | None) -> int:
    if text is None:
        return 0
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise MisuseError(f"--since {text!r}: write 2026-03-01, or 2026-03-01T08:00", code="invalid_input") from None
    return int((at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp() * 1_000)


def _signing(key: Path | None) -> Callable[[bytes], bytes] | None:
    if key is None:
        return None
    from remit.control.auditing.signing import sign

    return lambda content: sign(content, key)


def _signed_by(key: Path | None) -> Callable[[bytes, bytes], bool] | None:
    if key is None:
        return None
    from remit.control.auditing.signing import is_signed

    return lambda content, signature: is_signed(content, signature, key)


@contextmanager
def _written(file: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a new file that is whole or not there."""
    if file is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if file.exists():
        raise MisuseError(f"{file} is there already: name a new file", code="invalid_input")
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise MisuseError(f"{file} cannot be written ({error.strerror}): name a directory that exists", code="invalid_input") from None
    try:
        with os.fdopen(handle, "wb") as written:
            yield written
            written.flush()
            os.fsync(written.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _read(file: Path) -> Iterator[BinaryIO]:
    try:
        opened = file.open("rb")
    except OSError as error:
        raise MisuseError(f"{file} cannot be read ({error.strerror}): name an export", code="invalid_input") from None
    with opened:
        yield opened
