"""What a card account says of its holder: who may change it, and what it has to look like (ACC-08)."""

from typing import Any

import pytest

from services.accounts.contact import checked_contact
from services.accounts.tests.programme import MASTER, SALES, Programme, opening, user
from shared.contracts.accounts import (
    AccountHolderChanged,
    AccountProfile,
    CancelAccount,
    CancelReason,
    ChangeHolder,
    GetAccount,
    HolderField,
)
from shared.errors import Rejected

PA = user(MASTER)
LONDON = {"address_line_1": "1 Old Street", "city": "London", "postcode": "EC1V 9HL", "country": "GB"}


def changing(account: str, **facts: Any) -> ChangeHolder:
    return ChangeHolder(account_id=account, **facts)


def test_an_administrator_changes_address_phones_and_mail(programme: Programme) -> None:
    account = programme.open(**LONDON, home_phone="020 7946 0001")

    programme.done(
        changing(
            account, address_line_1="Rue de Lyon 5", city="Paris", postcode="75012", country="FR",
            business_phone="01 99 00 12 34", email="ada@company.example", clear=[HolderField.HOME_PHONE],
        ),
        PA,
    )  # fmt: skip

    profile: AccountProfile = programme.read(GetAccount(account_id=account), PA)
    assert (profile.city, profile.postcode, profile.country) == ("Paris", "75012", "FR")
    assert (profile.business_phone, profile.home_phone) == ("+33 1 99 00 12 34", None)
    changes = programme.history(account)
    assert ("home_phone", "+44 20 7946 0001", None) in changes
    assert ("city", "London", "Paris") in changes
    (told,) = programme.told(AccountHolderChanged)
    assert (told.last_name, told.version) == ("Lovelace", 2)


def test_what_is_left_out_stays(programme: Programme) -> None:
    account = programme.open(**LONDON)
    programme.done(changing(account, city="Leeds"), PA)
    stored = programme.account(account)
    assert (stored.address_line_1, stored.city, stored.country) == ("1 Old Street", "Leeds", "GB")


def test_the_name_is_the_issuers(programme: Programme) -> None:
    account = programme.open()
    assert programme.refused(changing(account, city="Paris", last_name="King"), PA) == (
        "name_is_the_issuers",
        "last_name",
    )

    programme.done(changing(account, last_name="Kingsley"))

    stored = programme.account(account)
    assert (stored.last_name, stored.embossed_name, stored.name_key) == (
        "Kingsley",
        "ADA KINGSLEY",
        "kingsley ada",
    )
    (told,) = programme.told(AccountHolderChanged)
    assert (told.first_name, told.last_name, told.embossed_name) == ("Ada", "Kingsley", "ADA KINGSLEY")


def test_a_name_that_no_card_can_show_needs_another_for_the_card(programme: Programme) -> None:
    account = programme.open()
    name = {"first_name": "明", "last_name": "李"}
    assert programme.refused(changing(account, **name)) == ("embossed_name_required", "embossed_name")
    assert programme.refused(opening(SALES, **name)) == ("embossed_name_required", "embossed_name")
    programme.done(changing(account, **name, embossed_name="LI MING"))
    assert programme.account(account).embossed_name == "LI MING"


def test_what_makes_no_sense_is_refused(programme: Programme) -> None:
    account = programme.open(**LONDON)
    assert programme.refused(changing(account), PA) == ("nothing_to_change", None)
    both = changing(account, city="Paris", clear=[HolderField.CITY])
    assert programme.refused(both, PA) == ("set_and_cleared", "city")
    assert programme.refused(changing(account, city="Paris"), user("2" * 15)) == ("not_found", "account_id")
    assert programme.refused(changing(account, country="FR"), PA) == ("postcode_not_of_country", "postcode")
    programme.done(changing(account, country="FR", clear=[HolderField.POSTCODE]), PA)
    programme.done(CancelAccount(account_id=account, reason=CancelReason.DEATH))
    assert programme.refused(changing(account, city="Paris"), PA) == ("account_cancelled", "account_id")


def test_an_account_is_opened_with_an_address_that_exists(programme: Programme) -> None:
    assert programme.refused(opening(SALES, country="UK")) == ("unknown_country", "country")
    assert programme.refused(opening(SALES, other_phone="123 456")) == ("not_a_phone_number", "other_phone")


@pytest.mark.parametrize(
    ("given", "known", "kept"),
    [
        ({"home_phone": "+49 (0)30 23125-123"}, {}, {"home_phone": "+49 30 23125123"}),
        ({"home_phone": "030 23125123"}, {"country": "DE"}, {"home_phone": "+49 30 23125123"}),
        ({"home_phone": "030 23125123", "country": "DE"}, {"country": "FR"}, {"home_phone": "+49 30 23125123", "country": "DE"}),
        ({"postcode": "ec1v9hl"}, {"country": "GB"}, {"postcode": "ec1v9hl"}),
        ({"postcode": "anything"}, {"country": "BR"}, {"postcode": "anything"}),
        ({"postcode": "anything"}, {}, {"postcode": "anything"}),
    ],
)  # fmt: skip
def test_contact_data_are_kept(given: dict[str, str], known: dict[str, Any], kept: dict[str, str]) -> None:
    assert checked_contact(given, known) == kept


@pytest.mark.parametrize(
    ("given", "known", "code"),
    [
        ({"country": "ZZ"}, {}, "unknown_country"),
        ({"country": "EU"}, {}, "unknown_country"),
        ({"postcode": "1234"}, {"country": "DE"}, "postcode_not_of_country"),
        ({"postcode": "12345\n"}, {"country": "DE"}, "postcode_not_of_country"),
        ({"postcode": "٣٣٣٣٣"}, {"country": "DE"}, "postcode_not_of_country"),
        ({"country": "DE"}, {"postcode": "EC1V 9HL"}, "postcode_not_of_country"),
        ({"business_phone": "030 23125123"}, {}, "not_a_phone_number"),
        ({"business_phone": "+999 123 456"}, {}, "not_a_phone_number"),
        ({"business_phone": "+44 123"}, {}, "not_a_phone_number"),
        ({"business_phone": "+44 20 7946 0001 0001 0001"}, {}, "not_a_phone_number"),
    ],
)
def test_contact_data_that_reach_nobody_are_refused(
    given: dict[str, str], known: dict[str, Any], code: str
) -> None:
    with pytest.raises(Rejected) as refused:
        checked_contact(given, known)
    assert refused.value.code == code
