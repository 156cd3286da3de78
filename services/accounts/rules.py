"""Pure policies of card accounts: who may lift whose hold, how long a suspension may last, how names are folded."""

import re
import unicodedata
from calendar import monthrange
from datetime import date, datetime, timedelta

from shared.actor import Party
from shared.contracts.accounts import CancelReason, HoldOrigin
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
    """Return the name for the plastic: capitals, at most 26 characters, the first name shortened where it must be."""
    plain = unicodedata.normalize("NFKD", f"{first_name} {last_name}".upper())
    text = " ".join(_NOT_EMBOSSABLE.sub("", plain).split())
    if len(text) > 26:
        text = f"{text[:1]} {_NOT_EMBOSSABLE.sub('', unicodedata.normalize('NFKD', last_name.upper()))}"
    return text[:26].strip()


def card_expiry(issued_on: date) -> date:
    """Return the last day of the month in which a card issued today expires."""
    year, month = issued_on.year + CARD_YEARS, issued_on.month
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)


def months_before(day: date, months: int) -> date:
    """Return the same day so many months earlier, or the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def is_dormant(nil_since: date | None, today: date, months: int) -> bool:
    """Return whether a balance has been nil for so many months that the account is dormant by policy (ACC-22)."""
    return nil_since is not None and nil_since <= months_before(today, months)
