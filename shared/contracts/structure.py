"""The structure of a company: its control accounts, what accounts is asked to do with them, and what can be read of them."""

from enum import StrEnum
from typing import Annotated

from shared.contracts.base import Message, command, event, read, view
from shared.contracts.service_times import AT_ONCE
from shared.contracts.types import (
    CompanyNumber,
    ControlAccountNumber,
    Cursor,
    Limit,
    Name,
    NewControlAccountNumber,
    Note,
)


class Level(StrEnum):
    """Where a control account stands in a company's structure."""

    MASTER = "master"
    INTERMEDIATE = "intermediate"
    BASIC = "basic"


# Commands


@command("accounts", route="/control-accounts", function="control-accounts.open", service_time=AT_ONCE)
class OpenControlAccount(Message):
    """Add a control account to a company's structure (PRG-01); the issuer does this."""

    number: NewControlAccountNumber
    name: Name
    level: Level
    parent: ControlAccountNumber | None = None
    company_name: Name | None = None
    company_number: Annotated[CompanyNumber, Note("only on a master control account")] | None = None
    contact: Name | None = None


# Events


@event("accounts")
class ControlAccountOpened(Message):
    """A control account was added to the structure."""

    number: ControlAccountNumber
    parent: ControlAccountNumber | None
    level: Level


# Views and reads


@view
class ControlAccountNode:
    """A node of a company's structure, with how many live card accounts lie under it (PRG-01)."""

    number: str
    name: str
    level: Level
    parent: str | None
    company_name: str
    company_number: str
    contact: str | None
    accounts: int


@read(
    "accounts",
    route="/control-accounts",
    function="control-accounts.view",
    returns=ControlAccountNode,
    listing=True,
)
class ListControlAccounts(Message):
    """The nodes that the caller may see, each parent before its children (PRG-01)."""

    level: Level | None = None
    parent: ControlAccountNumber | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


@read(
    "accounts",
    route="/control-accounts/{number}",
    function="control-accounts.view",
    returns=ControlAccountNode,
)
class GetControlAccount(Message):
    """One node of the structure."""

    number: ControlAccountNumber
