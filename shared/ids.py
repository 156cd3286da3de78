"""Identifiers: time-ordered, so that an index grows at one end (half the write-ahead log of random ones)."""

import os
import time
import uuid

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_COMMANDS = uuid.UUID("5b0a6c1e-9a1f-5c7e-8d53-3f1e0a6f2b90")


def new_message_id() -> str:
    """Return a new UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random bits."""
    millis = time.time_ns() // 1_000_000
    value = (millis << 80) | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def command_id_of(principal: str, idempotency_key: str) -> str:
    """Return the one id of a command that ``principal`` sends under this key, however often it is sent (Part 2 no. 13)."""
    return str(uuid.uuid5(_COMMANDS, f"{principal}\n{idempotency_key}"))


def new_id(prefix: str) -> str:
    """Return an opaque, time-ordered identifier such as ``acc_01jdk3…``: 48 bits of time and 80 random bits."""
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    return f"{prefix}_{spell(value)}"


def new_ids(prefix: str, count: int) -> list[str]:
    """Return up to 32 768 identifiers that follow each other, and so lie side by side in an index."""
    head = new_id(prefix)[:-3]
    return [head + _ALPHABET[i >> 10] + _ALPHABET[i >> 5 & 31] + _ALPHABET[i & 31] for i in range(count)]


def spell(value: int) -> str:
    """Return a 128-bit number as 26 lower-case letters and digits that keep its order."""
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))
