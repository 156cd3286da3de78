"""What statements hears of other services: the structure with its settings of billing, and the card accounts.

Events may overtake each other: of two that tell of one thing, the one of the higher version counts.
"""

from typing import Any

import sqlalchemy as sa

from services.statements.imports.suspense import look_again
from services.statements.ledger import TELL_STANDINGS
from services.statements.model import (
    card_account,
    card_number,
    control_account,
    ledger_account,
    paper_off_due,
    standing_due,
)
from shared.contracts.accounts import (
    AccountDeliveryChanged,
    AccountHolderChanged,
    AccountingChanged,
    AccountOpened,
    AccountTransferred,
    StatementDelivery,
)
from shared.contracts.cards import CardIssued
from shared.contracts.structure import (
    ControlAccountMoved,
    ControlAccountOpened,
    ControlAccountSettingsChanged,
    StatementDeliveryChanged,
    StatementOption,
)
from shared.contracts.types import Language
from shared.database import insert, is_postgresql
from shared.days import day_of
from shared.errors import Unavailable
from shared.folding import name_key
from shared.messaging.transaction import Transaction


def note_control_account(event: ControlAccountOpened, tx: Transaction) -> None:
    """Note a new control account; its first cycle begins on the day on which it was opened."""
    today = day_of(tx.envelope.time, tx.settings.time_zone)
    _enter(
        control_account,
        tx,
        number=event.number,
        parent=event.parent,
        level=event.level.value,
        placed=event.version,
        configured=0,
        opened_on=today,
        closed_through=today,
    )
    look_again(event.number, tx)
    here = sa.select(card_account.c.id).where(card_account.c.control_account == event.number)
    for account_id in tx.session.scalars(here):  # what was opened here and overtook this
        look_again(account_id, tx)


def note_move(event: ControlAccountMoved, tx: Transaction) -> None:
    """Note under which other a control account lies now; what is billed below it inherits from there."""
    parent = {"parent": event.parent}
    if _change(control_account, event.number, control_account.c.placed, event.version, parent, tx):
        look_again(event.number, tx)


def note_settings(event: ControlAccountSettingsChanged, tx: Transaction) -> None:
    """Note what is set at a control account of its own; null is what it inherits (PRG-02)."""
    own = {
        "billing_cycle_day": event.billing_cycle_day,
        "billing_model": event.billing_model and event.billing_model.value,
        "billing_currency": event.billing_currency,
        "statement_option": event.statement_option and event.statement_option.value,
    }
    if _change(control_account, event.number, control_account.c.configured, event.version, own, tx):
        look_again(event.number, tx)


def note_delivery(event: StatementDeliveryChanged, tx: Transaction) -> None:
    """Have every holder told who gets no statements on paper any more, unless that is taken back before (STM-04).

    Later mails about statements are in the same language.
    """
    language = (event.language or Language.ENGLISH).value
    delivered = control_account.c.delivered
    _change(control_account, event.number, delivered, event.version, {"language": language}, tx)
    holders = sa.select(card_account.c.id).where(card_account.c.control_account == event.number)
    wants_none = card_account.c.delivery == StatementDelivery.PDF_ONLY.value
    match event.option:
        case StatementOption.PAPER_OFF:
            _mark_paper_off(holders, language, tx)
        case StatementOption.PAPER_ON:
            _unmark_paper_off(holders, tx)
        case StatementOption.HOLDER_CHOICE:
            # What a holder once chose is in force again.
            _unmark_paper_off(holders.where(wants_none.is_not(True)), tx)
            if event.former is StatementOption.PAPER_ON:
                _mark_paper_off(holders.where(wants_none), language, tx)


def note_choice(event: AccountDeliveryChanged, tx: Transaction) -> None:
    """Note how a holder wants the statements, and have it confirmed in writing where that is without paper (STM-04)."""
    choice = {"delivery": event.delivery.value}
    if not _change(card_account, event.account_id, card_account.c.chosen, event.version, choice, tx):
        return
    holder = sa.select(card_account.c.id).where(card_account.c.id == event.account_id)
    if event.delivery is StatementDelivery.PDF_ONLY:
        _mark_paper_off(holder, (event.language or Language.ENGLISH).value, tx)
    else:
        _unmark_paper_off(holder, tx)


def _mark_paper_off(holders: sa.Select[str], language: str, tx: Transaction) -> None:
    marked = insert(paper_off_due, postgresql_=is_postgresql(tx.session)).from_select(
        ["account_id", "language"], holders.add_columns(sa.literal(language))
    )
    tx.session.execute(marked.on_conflict_do_nothing())


def _unmark_paper_off(holders: sa.Select[str], tx: Transaction) -> None:
    tx.session.execute(sa.delete(paper_off_due).where(paper_off_due.c.account_id.in_(holders)))


def note_account(event: AccountOpened, tx: Transaction) -> None:
    """Note a new card account; it owes nothing yet, and this is told."""
    _enter(
        card_account,
        tx,
        id=event.account_id,
        control_account=event.control_account,
        product=event.product.value,
        **_names(event.first_name or "", event.last_name or "", event.embossed_name or ""),
        email=event.email,
        employee_id=event.employee_id,
        cost_centre=event.cost_centre,
        universal_number=event.universal_number,
        named=1,
        placed=1,
        coded=1,
        opened_on=day_of(tx.envelope.time, tx.settings.time_zone),
    )
    _enter(standing_due, tx, account_id=event.account_id)
    tx.wake(TELL_STANDINGS)
    look_again(event.account_id, tx)


def note_transfer(event: AccountTransferred, tx: Transaction) -> None:
    """Note that a card account lies elsewhere now: what it owes goes along, and closes with its new control account."""
    place = {"control_account": event.control_account}
    if _change(card_account, event.account_id, card_account.c.placed, event.version, place, tx):
        tx.session.execute(
            sa.update(ledger_account).where(ledger_account.c.id == event.account_id).values(place)
        )
        look_again(event.account_id, tx)


def note_holder(event: AccountHolderChanged, tx: Transaction) -> None:
    """Note by which names an account is found, and where its holder has mail."""
    names = _names(event.first_name, event.last_name, event.embossed_name)
    holder = {**names, "email": event.email}
    _change(card_account, event.account_id, card_account.c.named, event.version, holder, tx)


def note_accounting(event: AccountingChanged, tx: Transaction) -> None:
    """Note the fields by which the company books what is spent."""
    fields = {
        "employee_id": event.employee_id,
        "cost_centre": event.cost_centre,
        "universal_number": event.universal_number,
    }
    if _change(card_account, event.account_id, card_account.c.coded, event.version, fields, tx):
        look_again(event.account_id, tx)


def note_card(event: CardIssued, tx: Transaction) -> None:
    """Note by which number an account's transactions may come."""
    if event.number_hash and event.last_four:
        _enter(
            card_number,
            tx,
            number_hash=event.number_hash,
            account_id=event.account_id,
            last_four=event.last_four,
        )
        look_again(event.account_id, tx)


def _names(first_name: str, last_name: str, embossed_name: str) -> dict[str, str]:
    return {
        "first_name": first_name,
        "last_name": last_name,
        "name_key": name_key(first_name, last_name),
        "embossed_name": embossed_name,
    }


def _enter(table: sa.Table, tx: Transaction, **row: Any) -> None:
    entered = insert(table, postgresql_=is_postgresql(tx.session)).values(row)
    tx.session.execute(entered.on_conflict_do_nothing())


def _change(
    table: sa.Table, key: str, told_by: sa.Column[Any], version: int, changes: dict[str, Any], tx: Transaction
) -> bool:
    """Change a row unless a later change is noted, and return whether it was; one that overtook the opening comes again."""
    (id_,) = table.primary_key
    found = tx.session.scalar(sa.select(told_by).where(id_ == key).with_for_update())
    if found is None:
        raise Unavailable(f"{table.name} {key} is not known yet")
    if version <= found:
        return False
    tx.session.execute(sa.update(table).where(id_ == key).values({**changes, told_by.name: version}))
    return True
