"""Draws the life of a card account and of a card from the tables that decide about it."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from services.accounts.lifecycle import ACCOUNTS, CARDS, Refusal
from shared.contracts.accounts import AccountStatus
from shared.contracts.cards import CardState

_ABOUT = """\
# The life of a card account and of its cards

Drawn from `services/accounts/lifecycle.py` by `python -m deploy.documents`; a test compares. Whatever is no arrow is
refused, by whichever route it is tried, with the code in the tables below. *change* stands for whatever leaves the status as
it is: editing, replacing and activating a card, transferring.

A card can be used when it is active **and** its account is active: no hold is left (holder < programme administrator <
issuer < system), and neither has ended. An account has one active card at most. Cancelling an account closes every card
that it has, for good; reinstating brings the account back, never the card: it gets a new one with a new number.
"""
_ENDS = "[*]"


def lifecycle() -> str:
    """Return the page as Markdown, its pictures in Mermaid."""
    parts = [
        _ABOUT,
        *_chapter("Card accounts", ACCOUNTS, AccountStatus.ACTIVE),
        *_chapter("Cards", CARDS, CardState.ORDERED),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _chapter(title: str, table: Mapping[Any, Mapping[Any, StrEnum]], first: StrEnum) -> Iterator[str]:
    yield f"## {title}\n"
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    {_ENDS} --> {first}"
    for state, acts in table.items():
        arrows = {act: step for act, step in acts.items() if not isinstance(step, Refusal) and step != state}
        for act, step in arrows.items():
            yield f"    {state} --> {step}: {act}"
        if not arrows:
            yield f"    {state} --> {_ENDS}"
    yield "```\n"
    columns = list(table[first])
    yield f"| state | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for state, steps in table.items():
        cells = (f"`{step}`" if isinstance(step, Refusal) else str(step) for step in steps.values())
        yield f"| **{state}** | {' | '.join(cells)} |"
    yield ""
