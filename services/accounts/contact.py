"""What a holder's address and phones must be to reach somebody: pure checks, against lists that others keep (ACC-08)."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import phonenumbers

from shared.errors import Rejected

PHONES = ("business_phone", "home_phone", "other_phone")

# Where a country's postcodes have one well-known form; elsewhere anything goes.
_POSTCODES = {
    "AT": r"\d{4}",
    "BE": r"\d{4}",
    "CA": r"[A-Z]\d[A-Z] ?\d[A-Z]\d",
    "CH": r"\d{4}",
    "CZ": r"\d{3} ?\d{2}",
    "DE": r"\d{5}",
    "DK": r"\d{4}",
    "ES": r"\d{5}",
    "FI": r"\d{5}",
    "FR": r"\d{5}",
    "GB": r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}",
    "IE": r"[A-Z]\d[\dW] ?[A-Z\d]{4}",
    "IT": r"\d{5}",
    "LU": r"\d{4}",
    "NL": r"\d{4} ?[A-Z]{2}",
    "NO": r"\d{4}",
    "PL": r"\d{2}-\d{3}",
    "PT": r"\d{4}-\d{3}",
    "SE": r"\d{3} ?\d{2}",
    "US": r"\d{5}(-\d{4})?",
}


def checked_contact(given: Mapping[str, str], known: Mapping[str, str | None]) -> dict[str, str]:
    """Return the given fields of a holder as they are to be kept, phones in their international form.

    ``known`` is what holds of the fields that are not given. Raises Rejected naming the field that is wrong.
    """
    country = given.get("country", known.get("country"))
    if given.keys() & {"country", "postcode"}:
        check_place(country, given.get("postcode", known.get("postcode")))
    phones = {name: checked_phone(given[name], country, name) for name in PHONES if name in given}
    return {**given, **phones}


def check_place(country: str | None, postcode: str | None, *, of: str = "") -> None:
    """Raise Rejected where there is no such country, or no such postcode there; ``of`` begins the fields' names."""
    if country is None:
        return
    if country not in _countries():
        raise Rejected(
            "unknown_country", f"{country} is no country of ISO 3166, as GB, FR and ES are.", f"{of}country"
        )
    form = _POSTCODES.get(country)
    if postcode and form and not re.fullmatch(form, postcode.upper(), re.ASCII):
        raise Rejected("postcode_not_of_country", f"{postcode} is no postcode of {country}.", f"{of}postcode")


def checked_phone(text: str, country: str | None, field: str) -> str:
    """Return a phone number in its international form; raises Rejected where nobody could be reached by it."""
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException as error:
        raise Rejected(
            "not_a_phone_number",
            f"{text} is no phone number; begin a number abroad with + and its country.",
            field,
        ) from error
    # Whether a number could exist, not whether it was given out: regulators do that faster than anybody lists it.
    if not phonenumbers.is_possible_number(number):
        raise Rejected("not_a_phone_number", f"No phone number is like {text}.", field)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


@cache
def _countries() -> frozenset[str]:
    """Return the codes of ISO 3166, which come with the time zones."""
    lines = (files("tzdata.zoneinfo") / "iso3166.tab").read_text(encoding="utf-8").splitlines()
    return frozenset(line[:2] for line in lines if line and not line.startswith("#"))
