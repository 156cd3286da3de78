"""Pure policies of card accounts."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from services.accounts.issuer import TEST_RANGE, IssuerSimulator, WantedCard, check
from services.accounts.rules import cancellation_time, card_expiry, may_lift, suspension_period
from shared.contracts.accounts import HoldOrigin, Product
from shared.days import day_of
from shared.errors import Rejected
from shared.folding import fold_name
from shared.settings import BadSettings, Settings, read_settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)


def test_holds_are_lifted_downwards_only() -> None:
    """Part 2 no. 10: holder < programme administrator < issuer < system."""
    ranks = list(HoldOrigin)
    for asker in ranks:
        for origin in ranks:
            assert may_lift(asker, origin) == (ranks.index(asker) >= ranks.index(origin))


@given(
    st.none() | st.timedeltas(timedelta(0), timedelta(days=400)),
    st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=800)),
)
def test_a_suspension_never_runs_longer_than_the_cap(
    begins: timedelta | None, lasts: timedelta | None
) -> None:
    """ACC-14: at most a year; refused, never cut short in silence."""
    start = None if begins is None else NOW + begins
    end = None if lasts is None else (start or NOW) + lasts
    if lasts is not None and lasts > YEAR:
        with pytest.raises(Rejected, match="at most 365 days"):
            suspension_period(effective_at=start, ends_at=end, now=NOW, longest=YEAR)
        return
    begun, ended = suspension_period(effective_at=start, ends_at=end, now=NOW, longest=YEAR)
    assert begun == (start or NOW)
    assert begun < ended <= begun + YEAR
    assert end is None or ended == end


@pytest.mark.parametrize(
    ("name", "folded"),
    [("Ångström", "angstrom"), ("  De  la CRUZ ", "de la cruz"), ("Straße", "strasse"), ("İpek", "ipek")],
)
def test_a_name_is_searched_without_accents_and_capitals(name: str, folded: str) -> None:
    """What a programme administrator types finds the holder."""
    assert fold_name(name) == folded


@given(st.dates(date(2020, 1, 1), date(2090, 1, 1)), st.integers(1, 120))
def test_a_card_expires_on_the_last_day_of_its_month(issued: date, months: int) -> None:
    expiry = card_expiry(issued, months)
    assert expiry.year * 12 + expiry.month == issued.year * 12 + issued.month + months
    assert (expiry + timedelta(days=1)).day == 1


WANTED = WantedCard(
    account_id="acc",
    card_id="crd",
    product=Product.CORPORATE_GOLD,
    embossed_name="ADA",
    ordered_on=NOW.date(),
    good_for_months=36,
)


def test_simulated_cards_have_check_digits_and_hold_no_real_number() -> None:
    """A range in which no scheme has cards; the same reference gets the same card."""
    plastic = IssuerSimulator().open("ord_1", WANTED)
    assert luhn.is_valid(plastic.number)
    assert plastic.number.startswith(TEST_RANGE)
    assert len(plastic.number) == 16
    assert IssuerSimulator().open("ord_1", WANTED) == plastic
    assert IssuerSimulator().open("ord_2", WANTED).number != plastic.number
    assert plastic.number not in repr(plastic)


def test_a_renewed_card_is_good_for_longer_than_the_one_before() -> None:
    wanted = replace(WANTED, number="9999000000000018", good_after=date(2026, 4, 30))
    plastic = IssuerSimulator().replace("ord_1", wanted)
    assert (plastic.number, plastic.expires_on) == ("9999000000000018", date(2029, 4, 30))


@pytest.mark.parametrize("url", ["processor://somewhere", "simulator"])
def test_a_processor_that_nobody_speaks_to_is_no_setting(url: str) -> None:
    with pytest.raises(BadSettings, match="CARDWORK_ISSUER_URL"):
        check(Settings(issuer_url=url))


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "../zoneinfo/UTC", "Europe"])
def test_a_time_zone_that_nobody_knows_is_no_setting(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARDWORK_TIME_ZONE", zone)
    with pytest.raises(BadSettings, match="TIME_ZONE: must be a time zone"):
        read_settings()
    monkeypatch.setenv("CARDWORK_TIME_ZONE", "Europe/Paris")
    assert read_settings().time_zone == "Europe/Paris"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ((2026, 3, 1), (2026, 9, 1)),
        ((2026, 8, 31), (2027, 2, 28)),
        ((2027, 8, 30), (2028, 2, 29)),
        ((2026, 12, 31), (2027, 6, 30)),
    ],
)
def test_six_months_ahead(start: tuple[int, int, int], end: tuple[int, int, int]) -> None:
    """ACC-12."""
    now, latest = datetime(*start, 12, tzinfo=UTC), datetime(*end, 12, tzinfo=UTC)
    assert cancellation_time(latest, now) == latest
    with pytest.raises(Rejected) as refused:
        cancellation_time(latest + timedelta(seconds=1), now)
    assert refused.value.code == "effective_at_too_far"


def test_a_day_begins_where_the_programme_is() -> None:
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    assert day_of(late, "UTC") == date(2026, 3, 1)
    assert day_of(late, "Europe/Paris") == date(2026, 3, 2)
    assert day_of(late, "America/New_York") == date(2026, 3, 1)
