"""The card accounts of the demonstration programme, each made from its number alone when it is asked for."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from deploy.demonstration import draws, people
from deploy.demonstration.structure import Company, Department, shares
from deploy.demonstration.users import OPERATOR, principal_of
from services.accounts.demonstration import Account, Holder, HoldInForce
from services.accounts.issuer import TEST_RANGE
from shared.contracts.accounts import (
    AccountStatus,
    CancelReason,
    HoldOrigin,
    PaymentStatus,
    Product,
    SuspendAccount,
)
from shared.contracts.types import Channel
from shared.folding import fold_name
from shared.ids import command_id_of

MOST = 10_000_000
_YOUNGEST, _OLDEST = 10, 2900  # days since an account was opened
_LONGEST_SINCE_CARD = 900  # days; a card is good for three years
_SIX_HOURS = 6 * 60 * 60  # seconds
_CARDS = int(TEST_RANGE)
_TRAVEL = Product.BUSINESS_TRAVEL_ACCOUNT.value
_CANCELLED = AccountStatus.CANCELLED.value
_SUSPENDED = AccountStatus.SUSPENDED.value
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
    idle: int


_DRAWN = len(_Drawn._fields)


@dataclass(frozen=True, slots=True)
class DemonstrationAccounts:
    """The first ``count`` accounts as they stand on a day; none is kept, so that any number fits in memory."""

    count: int
    today: date

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Account]:
        return iter(self.part(0, self.count))

    def part(self, start: int, stop: int) -> Iterable[Account]:
        """Return those from one place up to another, counted from zero."""
        midnight = datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC)
        return (account(place + 1, midnight) for place in range(start, stop))


def account(number: int, midnight: datetime) -> Account:
    """Return the account of this number, counted from one, as it stands when the day begins in UTC.

    Up to `MOST` differ in ids and card number. Statuses, dates and holds fit together as the domain would have them.
    """
    digest = draws.digest(f"account {number}")
    drawn = _Drawn._make(draws.numbers_in(digest)[:_DRAWN])
    of_account, of_card, of_hold = draws.ids(number, digest)
    department = draws.one_of(shares(), drawn.place)
    product = draws.one_of(_PRODUCTS, drawn.product)
    status = draws.one_of(_STATUSES, drawn.status)
    days = _YOUNGEST + drawn.age % (_OLDEST - _YOUNGEST)
    cancelled = status == _CANCELLED
    return Account(
        id=f"acc_{of_account}",
        control_account=department.number,
        product=product,
        status=status,
        payment_status=draws.one_of(_PAYMENT_STATUSES, drawn.payment),
        cancel_reason=draws.one_of(_REASONS, drawn.reason) if cancelled else None,
        cancelled_at=_ago(midnight, 1 + drawn.since % (days - 1), drawn.hour) if cancelled else None,
        opened_at=_ago(midnight, days, drawn.hour),
        last_used_on=_last_use(drawn, days, midnight),
        holder=_holder(number, drawn, department, travels=product == _TRAVEL),
        card_id=f"crd_{of_card}",
        card_number=draws.card_number(number, _CARDS),
        issued_on=midnight.date() - timedelta(min(days, 1 + drawn.card_age % _LONGEST_SINCE_CARD)),
        hold=_hold(of_hold, drawn, department.company, midnight) if status == _SUSPENDED else None,
    )


def _last_use(drawn: _Drawn, days: int, midnight: datetime) -> date | None:
    """Return the day of the latest use: most cards were used lately, some not for a year or two, a few never."""
    sort = drawn.idle % 40
    if sort == 0:
        return None
    ago = drawn.idle // 40 % (45 if sort < 35 else 700)
    return midnight.date() - timedelta(1 + min(ago, days - 1))


def _holder(number: int, drawn: _Drawn, department: Department, *, travels: bool) -> Holder:
    country, company = department.country, department.company
    # A business travel account has no holder, but a department that books with it.
    names = ("Travel", department.name) if travels else people.name_of(country, drawn.first, drawn.last)
    line, town, postcode = people.address_of(country, drawn.street, drawn.house, drawn.town)
    return Holder(
        *names,
        address_line_1=line,
        address_line_2=company.name if drawn.line_2 % 4 == 0 else None,
        city=town,
        postcode=postcode,
        country=country,
        business_phone=people.business_phone_of(country, drawn.phones, drawn.extension),
        other_phone=people.mobile_phone_of(country, drawn.mobile) if drawn.mobile % 3 == 0 else None,
        email=f"{_mail_name(*names)}{number}@{department.domain}" if drawn.mail % 20 else None,
        employee_id=None if travels else f"E{number:07}",
        cost_centre=f"{department.cost_centre}-{drawn.centre % 8 + 1:03}",
        universal_number=f"{company.number}{number:09}" if drawn.universal % 2 else None,
    )


def _hold(id_: str, drawn: _Drawn, company: Company, midnight: datetime) -> HoldInForce:
    """Return the hold of a suspended account: begun days ago, good for seven weeks at least."""
    begun = _ago(midnight, 1 + drawn.since % (_YOUNGEST - 2), drawn.hour)
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


def _ago(midnight: datetime, days: int, hour: int) -> datetime:
    """Return an instant between six and eighteen o'clock on the day before so many days ago."""
    return midnight - timedelta(days, _SIX_HOURS + hour % (2 * _SIX_HOURS))


@lru_cache(maxsize=100_000)
def _mail_name(first_name: str, last_name: str) -> str:
    return _NOT_IN_ADDRESS.sub("", fold_name(f"{first_name}.{last_name}"))
