"""Signatures of checkpoints: Ed25519, so that whoever verifies one holds nothing with which to make one (L49).

Keys are PEM files, PKCS8 for the private one, as OpenSSL makes and reads them. They need the extra `remit[encryption]`.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from remit.errors import MisuseError

__all__ = ["is_signed", "make_keys", "sign"]


def make_keys(file: Path) -> Path:
    """Make a private key, mode 0600, and its public one beside it, which is returned; raises MisuseError for a file that is there."""
    key, beside = Ed25519PrivateKey.generate(), file.with_name(f"{file.name}.pub")
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for path, content, mode in ((file, private, 0o600), (beside, public, 0o644)):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        except OSError as error:
            raise MisuseError(f"{path} cannot be made ({error.strerror}): name a new file", code="invalid_input") from None
        with os.fdopen(handle, "wb") as written:
            written.write(content)
    return beside


def sign(content: bytes, file: Path) -> bytes:
    """The signature; raises MisuseError for a file that is no private key."""
    return _private(file).sign(content)


def is_signed(content: bytes, signature: bytes, file: Path) -> bool:
    """Whether the signature is that of the key; the public one is enough. Raises MisuseError for a file that is no key."""
    try:
        _public(file).verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _private(file: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(file), password=None)
    except (ValueError, TypeError):
        raise _no_key(file, "private") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(file, "private")
    return key


def _public(file: Path) -> Ed25519PublicKey:
    content = _read(file)
    if b"PRIVATE" in content:
        return _private(file).public_key()
    try:
        key = serialization.load_pem_public_key(content)
    except ValueError:
        raise _no_key(file, "public") from None
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(file, "public")
    return key


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise MisuseError(f"{file} cannot be read ({error.strerror}): name a key file", code="invalid_input") from None


def _no_key(file: Path, which: str) -> MisuseError:
    return MisuseError(
        f"{file} is no {which} Ed25519 key in PEM form: make one with `remit audit keygen FILE`", code="invalid_input"
    )
