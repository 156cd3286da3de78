"""Pure policies of card accounts: who may lift whose hold, how long a suspension may last, which fields there are."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from shared.actor import Party
from shared.contracts.accounts import AccountingField, CancelReason, HoldOrigin, Product
from shared.contracts.structure import (
    BillingModel,
    FieldUse,
    Liability,
    Setting,
    SettingsInForce,
    StatementOption,
)
from shared.errors import Rejected

CARD_YEARS = 3
_AUTHORITY = {origin: rank for rank, origin in enumerate(HoldOrigin)}
_ORIGINS = {
    Party.HOLDER: HoldOrigin.HOLDER,
    Party.CLIENT: HoldOrigin.PROGRAMME_ADMINISTRATOR,
    Party.ISSUER: HoldOrigin.ISSUER,
    Party.SYSTEM: HoldOrigin.SYSTEM,
}
_LATE = timedelta(minutes=5)  # how far a client's clock may be behind ours
_NOT_EMBOSSABLE = re.compile(r"[^A-Z0-9 .'/&-]")

DEFAULTS = SettingsInForce(
    products=list(Product), liability=Liability.CORPORATE, billing_cycle_day=1, renewal_months=12 * CARD_YEARS,
    employee_id=FieldUse.OPTIONAL, cost_centre=FieldUse.OPTIONAL, universal_number=FieldUse.OPTIONAL,
    statement_option=StatementOption.PAPER_ON, billing_model=BillingModel.INDIVIDUAL, suspension_cap_days=365,
)  # fmt: skip
"""What holds where no control account of a path sets anything else (PRG-02)."""

CLIENTS_SETTINGS = frozenset(
    {
        Setting.EMPLOYEE_ID,
        Setting.COST_CENTRE,
        Setting.UNIVERSAL_NUMBER,
        Setting.STATEMENT_OPTION,
        Setting.SUSPENSION_CAP_DAYS,
    }
)
"""What a company's own administrators may set; the rest is the issuer's."""

_FIELD_NAMES = {
    AccountingField.EMPLOYEE_ID: "employee ID",
    AccountingField.COST_CENTRE: "cost centre",
    AccountingField.UNIVERSAL_NUMBER: "universal number",
}


def check_product(product: Product, settings: SettingsInForce, field: str) -> None:
    """Raise Rejected where a control account does not allow a product (PRG-02)."""
    if product not in settings.products:
        allowed = ", ".join(settings.products)
        raise Rejected(
            "product_not_allowed",
            f"The control account does not allow the product {product}, only: {allowed}.",
            field,
        )


def check_accounting(
    given: Mapping[str, str | None], after: Mapping[str, str | None], settings: SettingsInForce
) -> None:
    """Raise Rejected where a given field does not exist at a control account, or one lacks that must be there (ACC-16)."""
    for field, words in _FIELD_NAMES.items():
        use = getattr(settings, field)
        if use is FieldUse.ABSENT and given.get(field) is not None:
            raise Rejected("field_absent", f"The control account has no {words}.", field)
        if use is FieldUse.MANDATORY and after.get(field) is None:
            raise Rejected("field_mandatory", f"The control account demands the {words}.", field)


def origin_of(party: Party) -> HoldOrigin:
    """Return the origin that a hold has when someone of this party puts it (Part 2 no. 10)."""
    return _ORIGINS[party]


def may_lift(asker: HoldOrigin, origin: HoldOrigin) -> bool:
    """Return whether a hold may be lifted: a lower origin never lifts a higher one's."""
    return _AUTHORITY[asker] >= _AUTHORITY[origin]


def suspension_period(
    *, effective_at: datetime | None, ends_at: datetime | None, now: datetime, longest: timedelta
) -> tuple[datetime, datetime]:
    """Return from when until when a suspension runs (ACC-14); raises Rejected where the period is impossible."""
    start = effective_at or now
    if start < now - _LATE:
        raise Rejected("effective_at_in_past", "A suspension cannot begin in the past.", "effective_at")
    start = max(start, now)
    end = ends_at or start + longest
    if end <= start:
        raise Rejected("ends_before_it_begins", "A suspension must end after it begins.", "ends_at")
    if end > start + longest:
        raise Rejected("suspension_too_long", f"A suspension lasts at most {longest.days} days.", "ends_at")
    return start, end


def check_comment(reason: CancelReason, comment: str | None) -> None:
    """Raise Rejected where a cancellation for another reason does not say which (ACC-10)."""
    if reason is CancelReason.OTHER and not comment:
        raise Rejected("comment_required", "Say in a comment why the card is cancelled.", "comment")


def embossed(first_name: str, last_name: str) -> str:
    """Return the name for the plastic: capitals, at most 26 characters, the first name shortened where it must be.

    Raises Rejected where no letter of a name can be embossed.
    """
    plain = unicodedata.normalize("NFKD", f"{first_name} {last_name}".upper())
    text = " ".join(_NOT_EMBOSSABLE.sub("", plain).split())
    if len(text) > 26:
        text = f"{text[:1]} {_NOT_EMBOSSABLE.sub('', unicodedata.normalize('NFKD', last_name.upper()))}"
    if not text.strip():
        raise Rejected(
            "embossed_name_required",
            "Say how the name is to stand on the card, in letters from A to Z.",
            "embossed_name",
        )
    return text[:26].strip()


def card_expiry(issued_on: date) -> date:
    """Return the last day of the month in which a card issued today expires."""
    year, month = issued_on.year + CARD_YEARS, issued_on.month
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)
