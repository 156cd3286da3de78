"""From the cells of a row to the command that it stands for: the columns of a file are the fields of the command."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from marshmallow import ValidationError, fields

from services.accounts.bulk.kinds import Kind
from shared.contracts.base import Message
from shared.errors import Rejected

_BETWEEN = re.compile(r"[\s,;]+")
_ACCOUNT = re.compile(r"acc_[0-9a-z]{26}")
_NUMBER = re.compile(r"[0-9]{5}(\.[0-9]+)?")
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001  # 1900 was no leap year, but is one to a spreadsheet


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one file, in their order there; one without a heading is None and has to be empty.

    ``zone`` is where a time is meant to be that names no zone.
    """

    kind: Kind
    names: Sequence[str | None]
    zone: tzinfo

    @classmethod
    def read(cls, kind: Kind, heading: Sequence[str], zone: tzinfo) -> "Columns":
        """Return the columns that the first row names; raises Rejected where they are not those of the command."""
        known = kind.schema.fields
        names = [_plain(cell) for cell in heading]
        unknown = sorted({name for name in names if name} - known.keys())
        doubled = sorted({name for name in names if name and names.count(name) > 1})
        missing = [name for name, field in known.items() if field.required and name not in names]
        if unknown:
            raise Rejected(
                "unknown_column",
                f"There is no column {', '.join(unknown)}; the first row may name: {', '.join(known)}.",
            )
        if doubled:
            raise Rejected("column_named_twice", f"The first row names {', '.join(doubled)} twice.")
        if missing:
            raise Rejected("column_missing", f"The first row has to name {', '.join(missing)} too.")
        return cls(kind, names, zone)

    def account_of(self, cells: Sequence[str]) -> str | None:
        """Return the account that a row names, were the rest of the row right or not."""
        named = dict(zip(self.names, cells, strict=False)).get("account_id", "")
        return named if _ACCOUNT.fullmatch(named) else None

    def message(self, cells: Sequence[str]) -> Message:
        """Return the command of a row; raises Rejected naming every column that is wrong, the first one as its field."""
        if any(cells[len(self.names) :]) or any(
            cell for name, cell in zip(self.names, cells, strict=False) if not name
        ):
            raise Rejected("too_many_cells", "There is a value in a column that the first row does not name.")
        known = self.kind.schema.fields
        given = {
            name: _value(cell, known[name], self.zone)
            for name, cell in zip(self.names, cells, strict=False)
            if name and cell
        }
        try:
            loaded: Message = self.kind.schema.load(given)
        except ValidationError as error:
            raise _invalid(error.messages_dict) from None
        return loaded


def _plain(heading: str) -> str | None:
    """Return a heading as the field is named: ``Account ID`` means ``account_id``."""
    return "_".join(heading.lower().replace("-", " ").split()) or None


def _value(cell: str, field: fields.Field[Any], zone: tzinfo) -> Any:
    """Return what the schema wants in place of a text; one that makes no sense is left for it to refuse."""
    match field:
        case fields.Integer() if cell.removeprefix("-").isdecimal():
            return int(cell)
        case fields.List():
            return _BETWEEN.split(cell)
        case fields.AwareDateTime():
            return _instant(cell, zone)
        case _:
            return cell


def _instant(cell: str, zone: tzinfo) -> str:
    """Return a date or a time, which a workbook stores as days since 1900, with a time zone: this one where it has none."""
    try:
        if _NUMBER.fullmatch(cell):
            instant = _FIRST_DAY + timedelta(days=float(cell))
        else:
            instant = datetime.fromisoformat(cell)
    except (ValueError, OverflowError):
        return cell
    return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).isoformat(timespec="seconds")


def _invalid(messages: Mapping[str, Any]) -> Rejected:
    words = [f"{name}: {_words(what)}" for name, what in messages.items()]
    return Rejected("invalid_input", "; ".join(words), next(iter(messages)))


def _words(what: Any) -> str:
    if isinstance(what, Mapping):
        return " ".join(_words(inner) for inner in what.values())
    return " ".join(dict.fromkeys(map(str, what))) if isinstance(what, list) else str(what)
