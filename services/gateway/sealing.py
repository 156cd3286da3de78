"""Seals the secrets in a command before it travels: what a contract marks so is readable only for who holds the key."""

from dataclasses import replace
from typing import Any

from shared.contracts.base import Contract, Message
from shared.contracts.schema import seals_of
from shared.sealing import Seal
from shared.web.problems import invalid_input


def sealed(contract: Contract, message: Message, seal: Seal) -> Message:
    """Return a command with its secrets sealed; raises a 422 problem where one is too long."""
    secrets = {
        name: (getattr(message, name), rule)
        for name, rule in seals_of(contract.cls).items()
        if getattr(message, name) is not None
    }
    faults = {
        name: [f"Longer than maximum length {rule.longest}."]
        for name, (value, rule) in secrets.items()
        if len(value) > rule.longest
    }
    if faults:
        raise invalid_input(faults, in_body=True)
    closed: dict[str, Any] = {name: seal.close(value) for name, (value, _) in secrets.items()}
    return replace(message, **closed) if closed else message  # type: ignore[type-var]
