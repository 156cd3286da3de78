"""A little programme to route messages in: one service that owns, one that observes, one that reacts."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shared.contracts.accounts import AccountCancelled, CancelAccount
from shared.messaging.topology import Topology, topology_of
from shared.service import Service


def service(name: str, **declared: Any) -> Service:
    return Service(name=name, metadata=sa.MetaData(), migrations=Path(), **declared)


ACCOUNTS = service("accounts", handlers={CancelAccount: lambda command, tx: None})
TRACKING = service("tracking", observe=lambda observed, tx: None)
NOTICES = service("notices", reactions={AccountCancelled: lambda event, tx: None})
GATEWAY = service("gateway")


def programme() -> Topology:
    return topology_of([TRACKING, ACCOUNTS, NOTICES, GATEWAY])
