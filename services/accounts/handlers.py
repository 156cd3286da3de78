"""What the accounts service does when it is asked: one function for each command."""

from datetime import timedelta
from typing import Any

from services.accounts.holds import close_hold, put_in_force, resume_if_free
from services.accounts.issuer import IssuerSimulator
from services.accounts.model import Card, CardAccount, ControlAccount, Hold, open_holds
from services.accounts.rules import check_comment, embossed, may_lift, origin_of, suspension_period
from services.accounts.vault import vault_of
from shared.contracts.accounts import (
    AccountCancelled,
    AccountOpened,
    AccountStatus,
    CancelAccount,
    ControlAccountOpened,
    Level,
    OpenAccount,
    OpenControlAccount,
    PaymentStatus,
    SuspendAccount,
    UnsuspendAccount,
)
from shared.contracts.outcomes import RequestStatus
from shared.errors import Rejected
from shared.ids import new_id
from shared.messaging.transaction import Transaction

issuer = IssuerSimulator()
_PARENT_OF = {Level.MASTER: None, Level.INTERMEDIATE: Level.MASTER, Level.BASIC: Level.INTERMEDIATE}
_HOLDER_FIELDS = (
    "address_line_1", "address_line_2", "address_line_3", "city", "postcode", "country", "business_phone", "home_phone",
    "other_phone", "email", "employee_id", "cost_centre", "universal_number",
)  # fmt: skip


def open_control_account(command: OpenControlAccount, tx: Transaction) -> dict[str, Any]:
    """Add a node under its parent, or a master with a new company (PRG-01)."""
    parent = _parent_of(command, tx)
    if tx.session.get(ControlAccount, command.number):
        raise Rejected("number_taken", f"There is a control account {command.number} already.", "number")
    company_name = parent.company_name if parent else command.company_name
    company_number = parent.company_number if parent else command.company_number
    if not company_name or not company_number:
        raise Rejected(
            "company_required",
            "A master control account needs the company's name and number.",
            "company_name",
        )
    node = ControlAccount(
        number=command.number, name=command.name, level=command.level, parent=command.parent, contact=command.contact,
        path=f"{parent.path}/{command.number}" if parent else command.number,
        company_name=company_name, company_number=company_number,
    )  # fmt: skip
    tx.session.add(node)
    tx.session.flush()  # a child in the same batch must find it
    tx.publish(
        ControlAccountOpened(number=node.number, parent=node.parent, level=node.level), subject=node.number
    )
    return {"number": node.number}


def _parent_of(command: OpenControlAccount, tx: Transaction) -> ControlAccount | None:
    wanted = _PARENT_OF[command.level]
    if wanted is None:
        if command.parent:
            raise Rejected("parent_not_allowed", "A master control account has no parent.", "parent")
        if not tx.actor.everywhere("control-accounts.open"):
            raise Rejected(
                "function_not_granted", "Only the issuer can open a master control account.", "level"
            )
        return None
    if not command.parent:
        raise Rejected(
            "parent_required", f"A control account at {command.level} level needs a parent.", "parent"
        )
    parent = tx.one(ControlAccount, command.parent, "parent")
    if parent.level is not wanted:
        raise Rejected(
            "wrong_parent_level", f"The parent must be at {wanted} level; it is {parent.level}.", "parent"
        )
    return parent


def open_account(command: OpenAccount, tx: Transaction) -> dict[str, Any]:
    """Open a card account under a basic control account and have its first card made."""
    node = tx.one(ControlAccount, command.control_account, "control_account")
    if node.level is not Level.BASIC:
        raise Rejected(
            "not_a_basic_control_account",
            "Card accounts hang under basic control accounts.",
            "control_account",
        )
    account = CardAccount(
        id=new_id("acc"), control_account=node.number, product=command.product, opened_at=tx.now, version=0,
        status=AccountStatus.ACTIVE, payment_status=PaymentStatus.CURRENT,
        **{name: getattr(command, name) for name in _HOLDER_FIELDS},
    )  # fmt: skip
    account.rename(
        command.first_name,
        command.last_name,
        command.embossed_name or embossed(command.first_name, command.last_name),
    )
    tx.add(account)
    tx.session.add(_new_card(account, tx))
    tx.publish(
        AccountOpened(
            account_id=account.id, control_account=node.number, product=account.product, first_name=account.first_name,
            last_name=account.last_name, embossed_name=account.embossed_name,
        ),
        subject=account.id,
    )  # fmt: skip
    return {"account_id": account.id}


def _new_card(account: CardAccount, tx: Transaction) -> Card:
    plastic = issuer.make_card(tx.now.date())
    vault, card_id = vault_of(tx.settings), new_id("crd")
    return Card(
        id=card_id, account_id=account.id, number_encrypted=vault.encrypt(plastic.number, card_id),
        number_hash=vault.hash(plastic.number), last_four=plastic.number[-4:], issued_on=plastic.issued_on,
        expires_on=plastic.expires_on, live=True,
    )  # fmt: skip


def cancel_account(command: CancelAccount, tx: Transaction) -> None:
    """Cancel a card account in real time (ACC-10)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    check_comment(command.reason, command.comment)
    account.cancel(reason=command.reason, now=tx.now)
    tx.publish(
        AccountCancelled(
            account_id=account.id, control_account=account.control_account, reason=command.reason
        ),
        subject=account.id,
    )


def suspend_account(command: SuspendAccount, tx: Transaction) -> dict[str, Any]:
    """Put a hold of the asker's origin, in place of one that it has already (ACC-14)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    start, end = suspension_period(
        effective_at=command.effective_at, ends_at=command.ends_at, now=tx.now,
        longest=timedelta(days=tx.settings.longest_suspension_days),
    )  # fmt: skip
    origin = origin_of(tx.actor.party)
    for hold in open_holds(tx.session, [account.id]):
        if hold.origin is origin:
            close_hold(hold, tx, Rejected("superseded", "Another suspension took its place."))
    hold = Hold(
        id=new_id("hold"), account_id=account.id, origin=origin, effective_at=start, ends_at=end, in_force=start <= tx.now,
        comment=command.comment, command_id=tx.envelope.id, command_key=tx.envelope.key, actor=tx.envelope.actor,
        on_behalf_of=tx.envelope.on_behalf_of, channel=tx.envelope.channel,
    )  # fmt: skip
    tx.session.add(hold)
    if hold.in_force:
        put_in_force(account, hold, tx)
    else:
        resume_if_free(account, tx)
        tx.finish_later(RequestStatus.SCHEDULED)
    return {"hold_id": hold.id}


def unsuspend_account(command: UnsuspendAccount, tx: Transaction) -> dict[str, Any]:
    """Lift the holds that the asker's origin may lift; the card is usable when none is left (Part 2 no. 10)."""
    account = tx.one(CardAccount, command.account_id, "account_id")
    account.must_be_open()
    holds = open_holds(tx.session, [account.id])
    mine = [hold for hold in holds if may_lift(origin_of(tx.actor.party), hold.origin)]
    if not holds:
        raise Rejected("not_suspended", "There is no hold on this card account.", "account_id")
    if not mine:
        owner = holds[-1].origin.replace("_", " ")
        raise Rejected(
            "hold_of_higher_origin", f"The hold was put by the {owner}, who alone can lift it.", "account_id"
        )
    for hold in mine:
        close_hold(hold, tx, Rejected("lifted", "The suspension was lifted before it began."))
    resume_if_free(account, tx)
    return {"lifted": len(mine), "status": account.status}
