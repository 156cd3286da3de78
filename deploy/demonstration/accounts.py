"""The card accounts of the demonstration programme, each made from its number alone when it is asked for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from deploy.demonstration import draws, people
from deploy.demonstration.structure import Company, shares
from deploy.demonstration.users import OPERATOR, principal_of
from services.accounts.demonstration import Account, HoldInForce
from services.accounts.issuer import TEST_RANGE
from services.accounts.rules import fold_name
from shared.contracts.accounts import (
    AccountStatus,
    CancelReason,
    HoldOrigin,
    PaymentStatus,
    Product,
    SuspendAccount,
)
from shared.contracts.types import Channel
from shared.ids import command_id_of

MOST = 10_000_000
_YOUNGEST, _OLDEST = 10, 2900  # days since an account was opened
_LONGEST_SINCE_CARD = 900  # days; a card is good for three years
_DAY = 24 * 60 * 60  # seconds
_NOT_IN_ADDRESS = re.compile(r"[^a-z.-]")


def _weighted(weights: dict[str, int]) -> tuple[str, ...]:
    return tuple(value for value, weight in weights.items() for _ in range(weight))


_PRODUCTS = _weighted(
    {
        Product.CORPORATE_GREEN.value: 52,
        Product.CORPORATE_GOLD.value: 20,
        Product.CORPORATE_PLATINUM.value: 5,
        Product.COBRANDED_CORPORATE.value: 8,
        Product.CORPORATE_PURCHASING.value: 13,
        Product.BUSINESS_TRAVEL_ACCOUNT.value: 2,
    }
)
_STATUSES = _weighted(
    {AccountStatus.ACTIVE.value: 91, AccountStatus.SUSPENDED.value: 4, AccountStatus.CANCELLED.value: 5}
)
_PAYMENT_STATUSES = _weighted(
    {
        PaymentStatus.CURRENT.value: 90,
        PaymentStatus.PAST_DUE_30.value: 5,
        PaymentStatus.PAST_DUE_60.value: 2,
        PaymentStatus.PAST_DUE_90.value: 2,
        PaymentStatus.PAST_DUE_120.value: 1,
    }
)
_REASONS = _weighted(
    {
        CancelReason.EMPLOYMENT_ENDED.value: 6,
        CancelReason.NOT_NEEDED.value: 5,
        CancelReason.DORMANT.value: 2,
        CancelReason.FRAUD.value: 1,
    }
)
_BY_ISSUER = "Unusual use; the holder is being asked."
_BY_ADMINISTRATOR = (
    "On parental leave.",
    "On a long absence.",
    "Seconded abroad until further notice.",
    None,
)
_KEY = SuspendAccount.contract.key


class _Drawn(NamedTuple):
    """What chance decides of an account, a number of 16 bits each; one more goes to the end, or all others change."""

    place: int
    product: int
    status: int
    payment: int
    first: int
    last: int
    street: int
    house: int
    town: int
    line_2: int
    phones: int
    extension: int
    mobile: int
    mail: int
    centre: int
    universal: int
    age: int
    hour: int
    card_age: int
    since: int
    reason: int


@dataclass(frozen=True, slots=True)
class DemonstrationAccounts:
    """The first ``count`` accounts as they stand on a day; none is kept, so that any number fits in memory."""

    count: int
    today: date

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Account]:
        midnight = datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC)
        return (account(number, midnight) for number in range(1, self.count + 1))


def account(number: int, midnight: datetime) -> Account:
    """Return the account of this number, counted from one, as it stands when the day begins in UTC.

    Up to `MOST` differ in ids and card number. Statuses, dates and holds fit together as the domain would have them.
    """
    drawn = _Drawn._make(draws.draw(f"account {number}")[: len(_Drawn._fields)])
    of_account, of_card, of_hold = draws.ids(number, draws.digest(f"ids {number}"))
    department = draws.one_of(shares(), drawn.place)
    there = people.COUNTRIES[department.country]
    product = draws.one_of(_PRODUCTS, drawn.product)
    travels = product == Product.BUSINESS_TRAVEL_ACCOUNT  # has no holder, but a department that books with it
    names = (
        ("Travel", department.name)
        if travels
        else people.name_of(department.country, drawn.first, drawn.last)
    )
    line, town, postcode = people.address_of(department.country, drawn.street, drawn.house, drawn.town)
    status = draws.one_of(_STATUSES, drawn.status)
    cancelled = status == AccountStatus.CANCELLED
    days = _YOUNGEST + drawn.age % (_OLDEST - _YOUNGEST)
    since = 1 + drawn.since % (days - 1)  # days since it was cancelled
    return Account(
        id=f"acc_{of_account}",
        control_account=department.number,
        product=product,
        status=status,
        payment_status=draws.one_of(_PAYMENT_STATUSES, drawn.payment),
        first_name=names[0],
        last_name=names[1],
        address_line_1=line,
        address_line_2=department.company.name if drawn.line_2 % 4 == 0 else None,
        city=town,
        postcode=postcode,
        country=department.country,
        business_phone=people.phone_number(
            draws.one_of(there.business_phones, drawn.phones), drawn.extension
        ),
        home_phone=None,
        other_phone=people.phone_number(there.mobile_phone, drawn.mobile) if drawn.mobile % 3 == 0 else None,
        email=None if drawn.mail % 20 == 0 else f"{_mail_name(*names)}{number}@{department.company.domain}",
        employee_id=None if travels else f"E{number:07}",
        cost_centre=f"{department.cost_centre}-{drawn.centre % 8 + 1:03}",
        universal_number=f"{department.company.number}{number:09}" if drawn.universal % 2 else None,
        cancel_reason=draws.one_of(_REASONS, drawn.reason) if cancelled else None,
        cancelled_at=midnight - timedelta(since, drawn.hour % _DAY) if cancelled else None,
        opened_at=midnight - timedelta(days, drawn.hour % _DAY),
        card_id=f"crd_{of_card}",
        card_number=draws.card_number(number, TEST_RANGE),
        issued_on=midnight.date() - timedelta(min(days, 1 + drawn.card_age % _LONGEST_SINCE_CARD)),
        hold=_hold(of_hold, drawn, department.company, midnight)
        if status == AccountStatus.SUSPENDED
        else None,
    )


def _hold(id_: str, drawn: _Drawn, company: Company, midnight: datetime) -> HoldInForce:
    """Return the hold of a suspended account: begun days ago, good for a month at least."""
    begun = midnight - timedelta(1 + drawn.since % (_YOUNGEST - 2), drawn.hour % _DAY)
    by_issuer = drawn.reason % 4 == 0
    actor = OPERATOR if by_issuer else principal_of(company)
    return HoldInForce(
        id=f"hold_{id_}",
        origin=(HoldOrigin.ISSUER if by_issuer else HoldOrigin.PROGRAMME_ADMINISTRATOR).value,
        effective_at=begun,
        ends_at=begun + timedelta(60 + drawn.house % 300),
        comment=_BY_ISSUER if by_issuer else draws.one_of(_BY_ADMINISTRATOR, drawn.house),
        command_id=command_id_of(actor, id_),
        command_key=_KEY,
        actor=actor,
        channel=(Channel.OPERATOR if by_issuer else Channel.PORTAL).value,
    )


@lru_cache(maxsize=100_000)
def _mail_name(first_name: str, last_name: str) -> str:
    return _NOT_IN_ADDRESS.sub("", fold_name(f"{first_name}.{last_name}"))
