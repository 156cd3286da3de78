"""Loads the demonstration programme into whatever shape Cardwork runs in, once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from deploy.demonstration.accounts import DemonstrationAccounts, account
from deploy.demonstration.spending import purchase_of
from deploy.demonstration.structure import COMPANIES, Company, nodes, number_at
from deploy.demonstration.users import DemonstrationUser, language_of, users
from services.accounts import demonstration as accounts_of
from services.identity import demonstration as identity_of
from services.statements import demonstration as statements_of
from services.tracking import demonstration as tracking_of
from shared.settings import BadSettings

if TYPE_CHECKING:
    from deploy.compose import Shape

DEFAULT_ACCOUNTS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How many of each were loaded; none where they were there already."""

    control_accounts: int
    accounts: int
    users: int

    @property
    def changed(self) -> bool:
        """Whether anything was missing."""
        return any((self.control_accounts, self.accounts, self.users))


def load_demonstration(
    shape: "Shape", accounts: int = DEFAULT_ACCOUNTS, progress: Callable[[int], object] | None = None
) -> Summary:
    """Load companies, accounts and users into a migrated system, and return what was loaded.

    What is there already stays as it is, however many ``accounts`` are asked for then. ``progress`` is called with how
    many more accounts are written. Raises BadSettings without keys for card numbers, Unavailable where a database is away.
    """
    if not (shape.settings.card_encryption_key and shape.settings.card_lookup_key):
        raise BadSettings(
            "CARDWORK_CARD_ENCRYPTION_KEY and CARDWORK_CARD_LOOKUP_KEY are needed; `cardwork provision` makes keys."
        )
    now = shape.clock()
    given = DemonstrationAccounts(accounts, now.date())
    loaded = accounts_of.load(shape.database("accounts"), shape.settings, nodes(), given, progress=progress)
    enrolled = identity_of.load(
        shape.database("identity"),
        [_as_enrolled(user, accounts, now) for user in users()],
        now,
        companies=[_as_company(company, place) for place, company in enumerate(COMPANIES, 1)],
        structure={node.number: node.path for node in nodes()},
    )
    if loaded or not tracking_of.is_loaded(shape.database("tracking")):
        accounts_database = shape.database("accounts")
        known = accounts_of.known_elsewhere(accounts_database)
        tracking_of.load(
            shape.database("tracking"),
            (
                tracking_of.KnownAccount(id_, product, name, embossed, version, basic, version)
                for id_, product, name, embossed, basic, version in known
            ),
            structure=accounts_of.structure_now(accounts_database),
        )
    if loaded or not statements_of.is_loaded(shape.database("statements")):
        statements_of.load(
            shape.database("statements"),
            shape.settings,
            now,
            map(statements_of.KnownAccount._make, accounts_of.known_to_billing(shape.database("accounts"))),
            structure=accounts_of.structure_now(shape.database("accounts")),
            purchase_of=purchase_of,
        )
    return Summary(
        control_accounts=len(nodes()) if loaded else 0, accounts=accounts if loaded else 0, users=enrolled
    )


def _as_enrolled(user: DemonstrationUser, accounts: int, now: datetime) -> dict[str, object]:
    held = [account(number, now) for number in user.holds if number <= accounts]
    return {
        "own_accounts": {one.id: one.control_account for one in held},
        "user_id": user.user_id,
        "password": user.password,
        "name": user.name,
        "party": user.party,
        "company": user.company,
        "role": user.role,
        "control_accounts": user.control_accounts,
        "email": user.email,
        "phone": None,
        "language": user.language,
    }


def _as_company(company: Company, place: int) -> dict[str, object]:
    return {
        "number": company.number,
        "name": company.name,
        "control_account": number_at(place),
        "language": language_of(company),
    }
