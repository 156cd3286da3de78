"""An example of every message and view, made from its declaration, so that none can go out of date."""

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime
from enum import EnumType
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from shared.contracts.types import Number, Text

# What a typical message holds, by the name of the field. An optional field that is not in here is left out.
_TYPICAL: dict[str, Any] = {
    "access_code": "7kq2-m9xt-04fa-bc8d",
    "account_id": "acc_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "actor": "m.laurent",
    "address_line_1": "12 rue de la Charité",
    "approvals": ["accounts.cancel-account"],
    "approver_function": "accounts.cancel",
    "borrower": "j.petit",
    "card_id": "crd_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "bulk_id": "blk_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "account_ids": ["acc_01kaq3v8m2x4t7c9n5w1r6e0zb"],
    "card_number": "•••••••••••8431",
    "card_numbers": ["371449635398431"],
    "city": "Lyon",
    "code": "already_cancelled",
    "command": "accounts.cancel-account",
    "command_id": "019aa8c1-5f0e-7b3a-9c55-2d1f0e6a4b77",
    "comment": "Asked for by the holder's manager.",
    "company": "NL-20931",
    "company_name": "Nordlicht Handel",
    "company_number": "NL-20931",
    "contact_name": "Marie Laurent",
    "contact_phone": "+33 4 72 00 00 00",
    "control_account": "379812345600010",
    "control_account_name": "Sales, Lyon",
    "control_accounts": ["379812345600010"],
    "corrects": "txn_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "cost_centre": "CC-4100",
    "country": "FR",
    "currency": "EUR",
    "delegation": "dlg_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "detail": "This account was cancelled on 2 March 2026.",
    "email": "claire.moreau@example.com",
    "embossed_name": "CLAIRE MOREAU",
    "employee_id": "E100234",
    "export_id": "exp_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "field": "account_id",
    "file_name": "transactions-2026-03.csv",
    "first_name": "Claire",
    "former_control_account": "379812345600028",
    "former_parent": "379812345600036",
    "full_name": "Claire Moreau",
    "function": "accounts.cancel",
    "functions": ["accounts.cancel"],
    "import_id": "imp_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "last_name": "Moreau",
    "layout": "vcf4",
    "lender": "m.laurent",
    "level": "basic",
    "message": "This account is already cancelled.",
    "name": "Sales, Lyon",
    "number": "379812345600010",
    "otp": "492039",
    "parent": "379812345600002",
    "path": ["379812345600001", "379812345600002", "379812345600010"],
    "password": "correct horse battery staple",
    "phone": "+33 4 72 00 00 00",
    "postcode": "69002",
    "request_id": "019aa8c1-5f0e-7b3a-9c55-2d1f0e6a4b77",
    "request_type": "accounts.cancel-account",
    "role": "programme_administrator",
    "set_at": {"billing_cycle_day": "379812345600002", "liability": None},
    "merchant": "SNCF Voyageurs",
    "merchant_category": "4112",
    "payment_status": {
        "current": 941,
        "past_due_30": 31,
        "past_due_60": 16,
        "past_due_90": 8,
        "past_due_120": 4,
    },
    "rate": "0.92415",
    "secret_phrase": "the heron stands on one leg",
    "source_key": "2026-03-02/000173",
    "statement_id": "stm_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "tracking_number": "7KQ2M-9XTRR",
    "transaction_id": "txn_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "transaction_ids": ["txn_01kaq3v8m2x4t7c9n5w1r6e0zb"],
    "type": "accounts.cancel-account",
    "user": "usr_01kaq3v8m2x4t7c9n5w1r6e0zb",
    "user_id": "m.laurent",
}
_PLAIN: dict[Any, Any] = {
    bool: True,
    int: 1,
    str: "text",
    date: "2026-03-02",
    datetime: "2026-03-02T09:30:00Z",
}


class NoExample(LookupError):
    """A text has a form that nobody has given an example of; add one to ``_TYPICAL`` under the name of its field."""


def example_of(cls: type[Any]) -> dict[str, Any]:
    """Return an example of a message or a view, as JSON: what is required, and the optional fields typically given."""
    hints = get_type_hints(cls, include_extras=True)
    made: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        if field.name in _TYPICAL and fits(hints[field.name], _TYPICAL[field.name]):
            made[field.name] = _TYPICAL[field.name]
        elif field.default is dataclasses.MISSING:
            made[field.name] = _value(field.name, hints[field.name])
    return made


def fits(hint: Any, value: Any) -> bool:
    """Return whether a typical value is of the sort that a field holds."""
    inner = _bare(hint)
    if isinstance(inner, EnumType):
        return value in _values_of(inner)
    return isinstance(value, get_origin(inner) or inner)


def _value(name: str, hint: Any) -> Any:
    inner = _bare(hint)
    if inner is not hint and _is_optional(hint):
        return None
    origin = get_origin(inner)
    if origin in (list, tuple):
        return [_value(name, get_args(inner)[0])]
    if inner is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {}
    if isinstance(inner, EnumType):
        return _values_of(inner)[0]
    if isinstance(inner, type) and dataclasses.is_dataclass(inner):
        return example_of(inner)
    return _ruled(name, inner, [mark for mark in _marks(hint) if isinstance(mark, Text | Number)])


def _ruled(name: str, kind: Any, rules: list[Text | Number]) -> Any:
    value = _PLAIN[kind]
    for rule in rules:
        if isinstance(rule, Number):
            value = rule.least
        elif rule.pattern:
            raise NoExample(
                f"{name} must be {rule.form}: give an example of it in deploy/documents/examples.py"
            )
        else:
            value = value.ljust(rule.shortest, "-")[: rule.longest]
    return value


def _is_optional(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _is_optional(get_args(hint)[0])
    return get_origin(hint) in (Union, UnionType)


def _values_of(enumeration: EnumType) -> list[Any]:
    members: list[Any] = list(enumeration)
    return [member.value for member in members]


def _bare(hint: Any) -> Any:
    """Return a hint without its marks and without ``| None``."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _bare(next(argument for argument in get_args(hint) if argument is not type(None)))
    return hint


def _marks(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Annotated:
        return (*get_args(hint)[1:], *_marks(get_args(hint)[0]))
    return ()
