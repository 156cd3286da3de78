"""What a person is told whose input does not fit: what it should be, once, in words that need no manual."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

import pytest
from marshmallow import ValidationError

from shared.contracts.schema import strict
from shared.contracts.types import ControlAccountNumber, Country, Items, Name, Number
from shared.web.problems import invalid_input

GOOD = {
    "name": "Nora",
    "number": "3" * 15,
    "country": "FR",
    "day": "2026-12-01",
    "at": "2026-12-01T08:00:00Z",
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody sends."""

    name: Name
    number: ControlAccountNumber
    country: Country
    day: date
    at: datetime
    count: Annotated[int, Number(1, 28)] = 1
    done: bool = False
    names: Annotated[list[Name], Items(1, 2)] | None = None


def told(**wrong: Any) -> list[dict[str, str]]:
    """Return the faults of an input that is good but for this; what is None is left out."""
    given = {name: value for name, value in {**GOOD, **wrong}.items() if value is not ...}
    with pytest.raises(ValidationError) as refusal:
        strict(Asked).load(given)
    problem = invalid_input(refusal.value.messages_dict, in_body=True)
    return [
        {"pointer": fault.pointer, "code": fault.code, "message": fault.message} for fault in problem.errors
    ]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "", "Must have 1 to 100 characters."),
        ("name", " \t", "Must hold no control characters. Must not be blank."),
        ("name", "\u00a0 ", "Must not be blank."),
        ("name", 5, "Must be a text."),
        ("name", None, "Must not be null."),
        ("number", "37", "Must be 15 digits."),
        ("number", "3" * 14 + "x", "Must be 15 digits."),
        ("country", "France", "Must be an ISO 3166 code of two letters."),
        ("day", "tomorrow", "Must be a date, such as 2026-12-01."),
        ("at", "2026-12-01T08:00:00", "Must be a date and time with its zone"),
        ("at", "tomorrow", "Must be a date and time with its zone"),
        ("count", 29, "Must be from 1 to 28."),
        ("count", "1", "Must be a whole number."),
        ("done", "maybe", "Must be true or false."),
        ("names", [], "Must have 1 to 2 elements."),
        ("names", "Nora", "Must be a list."),
    ],
)
def test_a_wrong_value_is_told_what_it_should_be(field: str, value: Any, message: str) -> None:
    """API, *Errors*."""
    faults = told(**{field: value})

    assert {(fault["pointer"], fault["code"]) for fault in faults} == {(f"/{field}", "invalid")}
    words = " ".join(fault["message"] for fault in faults)
    assert words == message if message.endswith(".") else words.startswith(message)


def test_a_field_that_is_missing_is_told_so() -> None:
    assert told(name=...) == [{"pointer": "/name", "code": "required", "message": "This is required."}]


def test_an_unknown_field_is_told_which_there_are() -> None:
    (fault,) = told(nmae="Nora")

    assert (fault["pointer"], fault["code"]) == ("/nmae", "unknown_field")
    assert "There are: name, number, country" in fault["message"]
