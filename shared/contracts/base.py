"""What a command, an event and a read are, and the catalogue of all that are declared.

A declaration is one decorated class::

    @command("accounts", route="/accounts/{account_id}/cancel", function="accounts.cancel", service_time=MINUTES_15)
    class CancelAccount(Message):
        account_id: AccountId
        reason: CancelReason

The decorator makes it a frozen dataclass and enters its `Contract` in the catalogue.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from inspect import getdoc
from string import Formatter
from typing import Any, ClassVar, Generic, TypeVar, dataclass_transform

from shared.contracts import names

T = TypeVar("T")
M = TypeVar("M", bound="Message")


class Message:
    """What commands, events and reads have in common: the contract that declares them."""

    __slots__ = ()
    contract: ClassVar["Contract"]


class Kind(StrEnum):
    """The sort of message."""

    COMMAND = "command"
    EVENT = "event"
    READ = "read"


@dataclass(frozen=True)
class Contract:
    """All that was declared of one message; what is not here derives from the class of the message.

    ``function`` is the entitlement that a caller needs (IDN-05; an event has none), ``service_time`` how long
    a command may take before it counts as overdue (TRK-06), ``returns`` the view that a read answers with, ``listing``
    whether it answers with a page of them, ``sends_body`` whether its criteria travel in the body, not in the URL.
    ``lendable`` says that the function may be shared by a delegation (IDN-07), ``consent`` which function a second person
    needs to consent where the handler asks for that. With ``holder`` it is also for whoever holds the card account that it
    names, without that function, and reaches nothing but the own card accounts then (IDN-06). A ``bulk`` command has an outcome for each of its items; what
    becomes of an item later, such as a suspension that begins, is not the outcome of the command any more.
    """

    kind: Kind
    owner: str
    version: int
    cls: type[Message]
    route: str | None = None
    function: str | None = None
    service_time: timedelta | None = None
    returns: type[Any] | None = None
    listing: bool = False
    sends_body: bool = False
    lendable: bool = False
    consent: str | None = None
    bulk: bool = False
    holder: bool = False

    @cached_property
    def name(self) -> str:
        """``accounts.cancel-account``: how people and the catalogue name the message."""
        return f"{self.owner}.{names.kebab(self.cls.__name__)}"

    @cached_property
    def key(self) -> str:
        """The routing key, such as ``accounts.cancel-account.v1``."""
        return names.routing_key(self.owner, self.cls.__name__, self.version)

    @cached_property
    def type(self) -> str:
        """The CloudEvents type."""
        return names.event_type(self.key)

    @cached_property
    def summary(self) -> str:
        """The first sentence of the class's docstring."""
        return (getdoc(self.cls) or "").split("\n\n")[0].replace("\n", " ")

    @cached_property
    def path_fields(self) -> tuple[str, ...]:
        """The fields that travel in the path of the route."""
        return tuple(field for _, field, _, _ in Formatter().parse(self.route or "") if field)


class UnknownMessage(LookupError):
    """No contract has this routing key or name."""


class Catalogue:
    """Every contract, found by routing key or by name."""

    def __init__(self) -> None:
        self._by_key: dict[str, Contract] = {}

    def add(self, contract: Contract) -> None:
        """Enter a contract; raises ValueError where its key or its route is taken."""
        if contract.key in self._by_key:
            raise ValueError(f"{contract.key} is declared twice")
        clash = [c.key for c in self if contract.route and _door(c) == _door(contract)]
        if clash:
            raise ValueError(f"{contract.key} has the route of {clash[0]}: {contract.route}")
        self._by_key[contract.key] = contract

    def __getitem__(self, key: str) -> Contract:
        try:
            return self._by_key[key]
        except KeyError:
            raise UnknownMessage(f"no message has the key {key!r}") from None

    def __iter__(self) -> Iterator[Contract]:
        """Go through them file by file, as each declares them, whatever was imported first."""
        return iter(sorted(self._by_key.values(), key=lambda contract: contract.cls.__module__))

    def named(self, name: str) -> Contract:
        """Return the newest contract of this name; raises UnknownMessage with the names that exist."""
        found = [contract for contract in self if name in (contract.name, contract.key)]
        if not found:
            raise UnknownMessage(
                f"no message is named {name!r}; there are: {', '.join(sorted(c.name for c in self))}"
            )
        return max(found, key=lambda contract: contract.version)

    def commands(self, owner: str | None = None) -> list[Contract]:
        """Return the commands, all or one service's."""
        return self._of(Kind.COMMAND, owner)

    def events(self, owner: str | None = None) -> list[Contract]:
        """Return the events, all or one service's."""
        return self._of(Kind.EVENT, owner)

    def reads(self, owner: str | None = None) -> list[Contract]:
        """Return the reads, all or one service's."""
        return self._of(Kind.READ, owner)

    def _of(self, kind: Kind, owner: str | None) -> list[Contract]:
        return [c for c in self if c.kind is kind and owner in (None, c.owner)]


def _door(contract: Contract) -> tuple[bool, str | None]:
    by_post = contract.kind is Kind.COMMAND or contract.sends_body
    return by_post, contract.route


catalogue = Catalogue()


def _declare(cls: type[M], **declared: Any) -> type[M]:
    message = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    message.contract = Contract(cls=message, **declared)
    catalogue.add(message.contract)
    return message


@dataclass_transform(kw_only_default=True, frozen_default=True)
def command(
    owner: str,
    *,
    route: str,
    function: str,
    service_time: timedelta,
    lendable: bool = False,
    consent: str | None = None,
    bulk: bool = False,
    holder: bool = False,
    version: int = 1,
) -> Callable[[type[M]], type[M]]:
    """Declare a command: something that ``owner`` is asked to do, and that gets a tracking number (TRK-01)."""
    return lambda cls: _declare(
        cls,
        kind=Kind.COMMAND,
        owner=owner,
        version=version,
        route=route,
        function=function,
        service_time=service_time,
        lendable=lendable,
        consent=consent,
        bulk=bulk,
        holder=holder,
    )


@dataclass_transform(kw_only_default=True, frozen_default=True)
def event(owner: str, *, version: int = 1) -> Callable[[type[M]], type[M]]:
    """Declare an event: something that happened in ``owner``."""
    return lambda cls: _declare(cls, kind=Kind.EVENT, owner=owner, version=version)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def read(
    owner: str,
    *,
    route: str,
    function: str,
    returns: type[Any],
    listing: bool = False,
    sends_body: bool = False,
    holder: bool = False,
    version: int = 1,
) -> Callable[[type[M]], type[M]]:
    """Declare a read: a question that ``owner`` answers at once, from what its caller may see."""
    return lambda cls: _declare(
        cls,
        kind=Kind.READ,
        owner=owner,
        version=version,
        route=route,
        function=function,
        returns=returns,
        listing=listing,
        sends_body=sends_body,
        holder=holder,
    )


@dataclass_transform(kw_only_default=True, frozen_default=True)
def view(cls: type[T]) -> type[T]:
    """Declare a view: the shape of what a read answers with."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list, in stable order; ``total`` is None where counting would cost too much."""

    data: list[T]
    has_more: bool
    next_cursor: str | None
    total: int | None
