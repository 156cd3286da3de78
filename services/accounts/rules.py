"""Pure policies of card accounts: who may lift whose hold, how long a suspension may last, which fields there are."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from shared.actor import Party
from shared.contracts.accounts import AccountingField, CancelReason, HoldOrigin, Product, StatementDelivery
from shared.contracts.cards import ReplaceCard, ReplacementReason
from shared.contracts.structure import (
    DEFAULT_SETTINGS,
    BillingModel,
    FieldUse,
    Setting,
    SettingsInForce,
    StatementOption,
)
from shared.days import months_after, months_before
from shared.errors import Rejected
from shared.folding import fold_name, name_key

CANCELLATION_MONTHS = 6
# No name holds a line break once it is folded.
BEFORE_FIRST_NAME = "\n"
LONGEST_NAMES = 250
DELIVERY = ("line_1", "line_2", "line_3", "city", "postcode", "country")
_ADDRESSED = ("line_1", "city", "postcode", "country")
_INVESTIGATED = frozenset({ReplacementReason.LOST, ReplacementReason.STOLEN})
_FACTS = {
    "last_seen_at": "when it was seen last",
    "last_seen_where": "where it was seen last",
    "circumstances": "what happened",
}
_AUTHORITY = {origin: rank for rank, origin in enumerate(HoldOrigin)}
_ORIGINS = {
    Party.HOLDER: HoldOrigin.HOLDER,
    Party.CLIENT: HoldOrigin.PROGRAMME_ADMINISTRATOR,
    Party.ISSUER: HoldOrigin.ISSUER,
    Party.SYSTEM: HoldOrigin.SYSTEM,
}
_LATE = timedelta(minutes=5)  # how far a client's clock may be behind ours

CLIENTS_SETTINGS = frozenset(
    {
        Setting.EMPLOYEE_ID,
        Setting.COST_CENTRE,
        Setting.UNIVERSAL_NUMBER,
        Setting.SUSPENSION_CAP_DAYS,
    }
)
"""What a company's own administrators may set; the rest is the issuer's. Statement delivery has terms, and a command of its own."""

_FIELD_NAMES = {
    AccountingField.EMPLOYEE_ID: "employee ID",
    AccountingField.COST_CENTRE: "cost centre",
    AccountingField.UNIVERSAL_NUMBER: "universal number",
}


def delivery_of(option: StatementOption, chosen: StatementDelivery | None) -> StatementDelivery:
    """Return how statements come: as the control account says, or as the holder chose where it leaves that open (STM-04)."""
    if option is StatementOption.HOLDER_CHOICE:
        return chosen or StatementDelivery.PAPER_AND_PDF
    off = option is StatementOption.PAPER_OFF
    return StatementDelivery.PDF_ONLY if off else StatementDelivery.PAPER_AND_PDF


def chooses_delivery(settings: SettingsInForce) -> bool:
    """Return whether holders choose how their statements come; one billed centrally has none of the own (STM-02, STM-04)."""
    is_billed = settings.billing_model is not BillingModel.CENTRAL
    return is_billed and settings.statement_option is StatementOption.HOLDER_CHOICE


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


def cancellation_time(effective_at: datetime | None, now: datetime) -> datetime:
    """Return when an account is to be cancelled (ACC-12); raises Rejected where that is past or too far ahead."""
    if effective_at is None:
        return now
    if effective_at < now - _LATE:
        raise Rejected("effective_at_in_past", "A cancellation cannot lie in the past.", "effective_at")
    if effective_at > months_after(now, CANCELLATION_MONTHS):
        raise Rejected(
            "effective_at_too_far",
            f"A cancellation is at most {CANCELLATION_MONTHS} months ahead.",
            "effective_at",
        )
    return max(effective_at, now)


def check_replacement(command: ReplaceCard, now: datetime) -> None:
    """Raise Rejected where a replacement says too little for the issuer to act on it (ACC-09)."""
    if command.contact_phone is None and command.contact_email is None:
        raise Rejected("contact_required", "Say by which phone or e-mail you can be asked.", "contact_phone")
    if command.reason in _INVESTIGATED:
        missing = next((name for name in _FACTS if getattr(command, name) is None), None)
        if missing:
            raise Rejected(
                "facts_required",
                f"A card that was {command.reason} is investigated: say {_FACTS[missing]}.",
                missing,
            )
    if command.last_seen_at and command.last_seen_at > now + _LATE:
        raise Rejected(
            "last_seen_in_future", "The card cannot have been seen last in the future.", "last_seen_at"
        )
    if any(getattr(command, f"delivery_{name}") for name in DELIVERY):
        missing = next((name for name in _ADDRESSED if getattr(command, f"delivery_{name}") is None), None)
        if missing:
            raise Rejected(
                "delivery_address_incomplete",
                "A delivery address needs its first line, city, postcode and country.",
                f"delivery_{missing}",
            )


def keeps_number(reason: ReplacementReason) -> bool:
    """Return whether a replaced card keeps its number and works until the new one is activated (ACC-09)."""
    return reason is ReplacementReason.DAMAGED


def card_expiry(issued_on: date, months: int = DEFAULT_SETTINGS.renewal_months) -> date:
    """Return the last day of the month, so many months on, in which a card issued today expires (PRG-02)."""
    return months_after(issued_on.replace(day=1), months + 1) - timedelta(days=1)


def searched_names(first_name: str, last_name: str, embossed_name: str) -> tuple[str, str]:
    """Return the key that puts holders in order of name, and all of a holder's names, of which any part is found."""
    first, last, on_card = map(fold_name, (first_name, last_name, embossed_name))
    return name_key(first_name, last_name), f"{last} {on_card}{BEFORE_FIRST_NAME}{first}"[:LONGEST_NAMES]


def is_dormant(nil_since: date | None, today: date, months: int) -> bool:
    """Return whether a balance has been nil for so many months that the account is dormant by policy (ACC-22)."""
    return nil_since is not None and nil_since <= months_before(today, months)
