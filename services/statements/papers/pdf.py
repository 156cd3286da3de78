"""A statement as a tagged PDF (PDF/UA-1), so that whoever cannot see it can have it read out, and anybody can search it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from functools import cache
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any

import orjson
import typst

from services.statements.papers.letters import shown
from services.statements.papers.words import Words, words_of
from services.statements.queries.paper import Paper
from shared.contracts.types import Language
from shared.settings import Settings

_TEMPLATE = Path(__file__).parent / "statement.typ"
_one_at_a_time = Lock()
_AGES = ("current", "past_due_30", "past_due_60", "past_due_90", "past_due_120")


def as_pdf(paper: Paper, addressee: Sequence[str], language: Language, settings: Settings) -> bytes:
    """Return the PDF; ``addressee`` are the lines of the address that it goes to."""
    facts = _facts(paper, addressee, language, settings)
    # The compiler keeps what it read and set before, and is not for several threads at once.
    with _one_at_a_time:
        made = _compiler().compile(
            format="pdf",
            sys_inputs={"paper": orjson.dumps(shown(facts)).decode()},
            pdf_standards=["ua-1"],
            timestamp=_noon_of(paper.made.closed_on),
        )
    assert isinstance(made, bytes)
    return made


@cache
def _compiler() -> typst.Compiler:
    return typst.Compiler(_TEMPLATE, root=_TEMPLATE.parent)


def _noon_of(day: date) -> int:
    """Return noon of the closing day, when the file says that it was made: printed again, it is the same."""
    return int(datetime.combine(day, time(12), UTC).timestamp())


def _facts(paper: Paper, addressee: Sequence[str], language: Language, settings: Settings) -> dict[str, Any]:
    words, made = words_of(language), paper.made
    say = words.labels
    central = made.account_id is None
    return {
        "language": language,
        "labels": say,
        "title": say["control_statement" if central else "statement"],
        "number": made.id,
        "issuer": {"name": settings.issuer_name, "address": _address(settings)},
        "addressee": list(addressee) or [paper.holder or made.control_account],
        "particulars": _particulars(paper, words),
        "summary": [
            (say[name], words.figure(amount, made.currency))
            for name, amount in (
                ("previous_balance", made.previous_balance),
                ("payments", -made.payments),
                ("credits", -made.credits),
                ("debits", made.debits),
                ("balance", made.balance),
            )
        ],
        "how_to_pay": _how_to_pay(paper, words, settings),
        "ageing": _ageing(paper, words),
        "amounts_in": say["amounts_in"].format(currency=made.currency),
        "groups": [
            {
                "holder": f"{lines[0].embossed_name or holder or ''}" if central else None,
                "total": words.figure(sum(line.amount for line in lines), made.currency),
                "lines": [_line(line, words) for line in lines],
            }
            for holder, lines in _by_holder(paper.lines, central=central)
        ],
    }


def _by_holder(lines: Sequence[Any], *, central: bool) -> Iterable[tuple[str | None, list[Any]]]:
    if not lines:
        return []
    if not central:
        return [(None, list(lines))]
    return [(holder, list(theirs)) for holder, theirs in groupby(lines, key=lambda line: line.account_id)]


def _particulars(paper: Paper, words: Words) -> list[tuple[str, str]]:
    made, say = paper.made, words.labels
    period = f"{words.short_day(made.opened_on)} {say['until']} {words.short_day(made.closed_on)}"
    card = f"•••• {paper.last_four}" if paper.last_four else None
    found = (
        ("number", made.id), ("holder", paper.holder), ("card", card), ("account", made.account_id),
        ("control_account", made.control_account), ("employee_id", paper.employee_id),
        ("cost_centre", paper.cost_centre), ("period", period), ("due", words.short_day(made.due_on)),
    )  # fmt: skip
    return [(say[name], value) for name, value in found if value]


def _how_to_pay(paper: Paper, words: Words, settings: Settings) -> dict[str, Any]:
    made, say = paper.made, words.labels
    if made.balance <= 0:
        return {"sentence": say["in_credit"], "particulars": []}
    if not settings.issuer_iban:
        return {"sentence": say["agreed"].format(issuer=settings.issuer_name), "particulars": []}
    amount = words.money(made.balance, made.currency)
    return {
        "sentence": say["pay"].format(amount=amount, day=words.day(made.due_on)),
        "particulars": [
            (say["to"], settings.issuer_name),
            (
                "IBAN",
                " ".join(settings.issuer_iban[i : i + 4] for i in range(0, len(settings.issuer_iban), 4)),
            ),
            (say["reference"], made.id),
        ],
    }


def _ageing(paper: Paper, words: Words) -> list[tuple[str, str]]:
    """Return what is owed by age; nothing where all of it is new, as the summary says that."""
    amounts = {name: getattr(paper.ageing, name) for name in _AGES}
    if not any(amount for name, amount in amounts.items() if name != "current"):
        return []
    return [
        (words.labels[name], words.figure(amount, paper.made.currency)) for name, amount in amounts.items()
    ]


def _line(line: Any, words: Words) -> dict[str, str]:
    more = [part for part in (line.city, line.country) if part]
    foreign = line.original_currency and line.original_currency != line.currency
    rate = f"{words.labels['rate']} {words.rate(line.rate)}" if foreign and line.rate else ""
    return {
        "date": words.short_day(line.transacted_on),
        "posted": words.short_day(line.posted_on),
        "what": line.merchant or words.kinds[line.kind],
        "more": ", ".join(
            [*more, *([words.kinds[line.kind]] if line.merchant and line.kind != "purchase" else [])]
        ),
        "original": words.money(line.original_amount, line.original_currency) if foreign else "",
        "rate": rate,
        "amount": words.figure(line.amount, line.currency),
    }


def _address(settings: Settings) -> list[str]:
    return [line.strip() for line in (settings.issuer_address or "").split(",") if line.strip()]
