"""A small programme of services, so that what documents say of handling and hearing can be told in advance."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shared.contracts.accounts import AccountCancelled, CancelAccount, GetAccount
from shared.messaging.transaction import Reader, Transaction
from shared.service import Observed, Service


def cancel(command: CancelAccount, tx: Transaction) -> Mapping[str, Any] | None:
    raise NotImplementedError


def show(question: GetAccount, reader: Reader) -> Any:
    raise NotImplementedError


def close_file(event: AccountCancelled, tx: Transaction) -> None:
    raise NotImplementedError


def watch(seen: Sequence[Observed], tx: Transaction) -> None:
    raise NotImplementedError


def service(name: str, **declared: Any) -> Service:
    return Service(name=name, metadata=sa.MetaData(), migrations=Path(), **declared)


SERVICES = [
    service("accounts", handlers={CancelAccount: cancel}, queries={GetAccount: show}),
    service("archive", reactions={AccountCancelled: close_file}),
    service("tracking", observe=watch),
    service("reports"),
]
