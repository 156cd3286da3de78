"""The functions that can be granted: whatever a command or a read asks for, and nothing else (IDN-05)."""

from collections.abc import Mapping

from shared.contracts.base import Contract, catalogue


def functions() -> Mapping[str, list[Contract]]:
    """Return every function with the commands and reads that ask for it, in order of name."""
    found: dict[str, list[Contract]] = {}
    for contract in (*catalogue.commands(), *catalogue.reads()):
        for function in (contract.function, contract.consent):
            if function:
                found.setdefault(function, []).append(contract)
    return dict(sorted(found.items()))


def lendable_functions() -> frozenset[str]:
    """Return the functions that an administrator may share (IDN-07)."""
    return frozenset(c.function for c in catalogue.commands() if c.lendable and c.function)
