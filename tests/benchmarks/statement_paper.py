"""`make bench-papers`: measures how long a statement of a hundred lines takes to set as PDF; the goal is 100 ms."""

from __future__ import annotations

import sys
import time
from datetime import date, timedelta
from statistics import quantiles
from types import SimpleNamespace

from services.statements.papers.pdf import as_pdf
from services.statements.queries.paper import Paper
from shared.contracts.statements import Ageing
from shared.contracts.types import Language
from shared.ids import new_id
from shared.settings import Settings

LINES, TIMES, GOAL = 100, 60, 100.0
_CLOSING = date(2026, 11, 10)


def a_paper(number: int) -> Paper:
    """Return a statement of a hundred lines, every fifth of them in another currency; no two are the same."""
    lines = [
        SimpleNamespace(
            id=new_id("txn"), account_id="acc", embossed_name="ADA LOVELACE", kind="purchase", currency="EUR",
            amount=100 * line + number, original_amount=16_000 * line if line % 5 == 0 else None,
            original_currency="JPY" if line % 5 == 0 else None, rate="0.00611" if line % 5 == 0 else None,
            merchant=f"Merchant {number} {line}", city="Lyon", country="FR",
            transacted_on=_CLOSING - timedelta(days=line % 28 + 1), posted_on=_CLOSING - timedelta(days=line % 28),
        )
        for line in range(LINES)
    ]  # fmt: skip
    debits = sum(line.amount for line in lines)
    made = SimpleNamespace(
        id=new_id("stm"), account_id=new_id("acc"), control_account="3" * 15, opened_on=date(2026, 10, 10),
        closed_on=_CLOSING, due_on=_CLOSING + timedelta(days=28), currency="EUR", previous_balance=0, payments=0,
        credits=0, debits=debits, balance=debits,
    )  # fmt: skip
    ageing = Ageing(current=debits, past_due_30=0, past_due_60=0, past_due_90=0, past_due_120=0)
    return Paper(
        made=made, lines=lines, ageing=ageing, holder="Ada Lovelace", last_four="0018", employee_id="E1",
        cost_centre="CC1",
    )  # fmt: skip


def main() -> int:
    """Set, measure, tell; returns 1 where it took too long."""
    languages, took = list(Language), []
    for number in range(TIMES):
        paper = a_paper(number)
        started = time.perf_counter()
        as_pdf(paper, ["Ada Lovelace", "12 Mill Lane"], languages[number % len(languages)], Settings())
        took.append((time.perf_counter() - started) * 1000)
    cuts = quantiles(took[len(languages) :], n=100, method="inclusive")
    print(
        f"{LINES} lines as PDF: median {cuts[49]:.0f} ms, 95th percentile {cuts[94]:.0f} ms (goal {GOAL:.0f})"
    )
    return 0 if cuts[49] < GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
