"""The keys of a Cardwork installation: made once, kept in files that only their owner can read."""

import os
import secrets
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from shared.sealing import new_seal_key
from shared.settings import Settings

KEYS = (
    "assertion_private_key",
    "assertion_public_key",
    "card_encryption_key",
    "card_lookup_key",
    "sealing_key",
)


def make_keys() -> dict[str, str]:
    """Return new keys by the name of their setting."""
    pair = Ed25519PrivateKey.generate()
    private = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {
        "assertion_private_key": private,
        "assertion_public_key": public,
        "card_encryption_key": b64encode(secrets.token_bytes(32)).decode(),
        "card_lookup_key": b64encode(secrets.token_bytes(32)).decode(),
        "sealing_key": new_seal_key(),
    }


def with_own_keys(settings: Settings) -> Settings:
    """Return the settings with the keys of the embedded shape, made at the first start under ``data_directory``."""
    folder = settings.data_directory / "keys"
    if not (folder / KEYS[-1]).exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, value in make_keys().items():
            write_secret(folder / name, value)
    keys: dict[str, Any] = {name: (folder / name).read_text() for name in KEYS}
    return replace(settings, **keys)


def write_secret(file: Path, value: str) -> None:
    """Write a file that only its owner can read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(value)
