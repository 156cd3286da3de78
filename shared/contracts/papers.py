"""The paper of a statement: in which forms it comes, and what the gateway tells the statements service to print on it."""

from enum import StrEnum
from typing import Annotated

from shared.contracts.base import view
from shared.contracts.types import Country, Items, Language, Text


class PaperForm(StrEnum):
    """In which form a statement is fetched."""

    PDF = "pdf"
    CSV = "csv"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        """What the file is called in HTTP."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    PaperForm.PDF: "application/pdf",
    PaperForm.CSV: "text/csv; charset=utf-8",
    PaperForm.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

_Line = Annotated[str, Text(1, 250)]


@view
class Addressee:
    """Whom a statement goes to, as accounts knows it: the lines of an address, and the country, which has names of its own."""

    lines: Annotated[list[_Line], Items(1, 8)]
    country: Country | None = None


@view
class PaperAsked:
    """The paper of a statement as somebody wants it."""

    form: PaperForm
    language: Language = Language.ENGLISH
    addressee: Addressee | None = None
