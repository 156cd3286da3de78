"""Writes who may do what: every function with the roles that bring it, and what it lets one do (IDN-05, IDN-06)."""

from collections.abc import Iterator

from deploy.documents.routes import method_and_path
from services.identity.rules import ROLES
from shared.contracts.base import Contract
from shared.contracts.functions import functions, lendable_functions

_ABOUT = """\
# Who may do what

Made from the declarations by `python -m deploy.documents`; a test compares, and another one tries every command and every
read as every role, inside and outside the control accounts that were granted.

A **function** is granted to a user over a control account and all that lies below it, or over the whole programme for the
issuer's people. A **role** is a named set of functions to start from; code asks for functions only, so any of them can be
given or taken one by one (`POST /users/{user}/entitlements`). What concerns nothing but the own user and session, such as a
new password, every signed-in user may do. Who lacks a function is answered 403; what lies outside the
granted control accounts is answered 404, as if it did not exist.

A **cardholder** has card accounts of the own, named at enrolment (`POST /users`) and later (`POST /users/{user}/accounts`). What is
marked *own* below takes no function from whoever holds the card account in question: lists hold the own accounts alone, any
other account is answered 404, and a control account as a criterion too.
"""
_MATRIX = """\
## Functions and roles

`●` the role brings the function; *lent*: an administrator may share it for a time (IDN-07).
"""
_USES = """\
## What each function lets one do

*own*: holders may do so with the own card accounts, without the function.
"""


def entitlements() -> str:
    """Return the page as Markdown."""
    return "\n".join([_ABOUT, _MATRIX, *_matrix(), "", _USES, *_uses()]) + "\n"


def _matrix() -> Iterator[str]:
    names = sorted(ROLES)
    yield f"| function | {' | '.join(name.replace('_', ' ') for name in names)} | lent |"
    yield f"|---|{'---|' * (len(names) + 1)}"
    lendable = lendable_functions()
    for function in functions():
        cells = ["●" if function in ROLES[name].functions else "" for name in names]
        yield f"| `{function}` | {' | '.join(cells)} | {'●' if function in lendable else ''} |"


def _uses() -> Iterator[str]:
    yield "| function | request | message | own | |"
    yield "|---|---|---|---|---|"
    for function, contracts in functions().items():
        for contract in contracts:
            consents = contract.consent == function != contract.function
            yield _line(function, contract, "consent to: " if consents else "")


def _line(function: str, contract: Contract, before: str) -> str:
    method, path = method_and_path(contract)
    named = f"`{function}`" if function else ""
    own = "●" if contract.holder else ""
    return f"| {named} | `{method} {path}` | `{contract.name}` | {own} | {before}{contract.summary} |"
