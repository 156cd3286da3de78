"""Setting what holds at a control account and below it (PRG-02, Part 2 no. 18)."""

from collections.abc import Iterable

from services.accounts.handlers.structure import lock_structure
from services.accounts.model import ControlAccount
from services.accounts.rules import CLIENTS_SETTINGS
from services.accounts.settings import own_settings, set_own, settings_at
from shared.actor import Party
from shared.contracts.structure import (
    ChangeControlAccountSettings,
    ChangeStatementDelivery,
    ControlAccountSettingsChanged,
    Level,
    Setting,
    StatementDeliveryChanged,
)
from shared.errors import Rejected
from shared.messaging.transaction import Transaction


def change_settings(command: ChangeControlAccountSettings, tx: Transaction) -> None:
    """Set what is given, and let be inherited again what is named for that."""
    lock_structure(tx)
    node = tx.one(ControlAccount, command.number, "number")
    given = {setting: getattr(command, setting) for setting in Setting}
    changes = {setting: value for setting, value in given.items() if value is not None}
    inherited = set(command.inherit or ())
    if not changes and not inherited:
        raise Rejected("nothing_to_change", "Say what is to be set, or to be inherited again.")
    both = sorted(changes.keys() & inherited)
    if both:
        raise Rejected("set_and_inherited", f"The {both[0]} cannot be set and inherited at once.", both[0])
    _check_whose(changes.keys() | inherited, tx)
    set_own(node, changes | dict.fromkeys(inherited))
    tx.publish(
        ControlAccountSettingsChanged(number=node.number, version=node.version + 1, **own_settings(node)),
        subject=node.number,
    )


def change_statement_delivery(command: ChangeStatementDelivery, tx: Transaction) -> None:
    """Set the statement option of a basic control account, whose terms the asker has accepted (STM-04)."""
    lock_structure(tx)
    node = tx.one(ControlAccount, command.number, "number")
    if node.level is not Level.BASIC:
        raise Rejected(
            "not_basic", "Statements are delivered alike below a basic control account only.", "number"
        )
    if not command.terms_accepted:
        raise Rejected("terms_not_accepted", "The terms have to be accepted.", "terms_accepted")
    former = settings_at(node, tx).statement_option
    if former is command.option:
        raise Rejected("delivered_so_already", "Statements are delivered in this way already.", "option")
    set_own(node, {Setting.STATEMENT_OPTION: command.option})
    version = node.version + 1
    changed = ControlAccountSettingsChanged(number=node.number, version=version, **own_settings(node))
    told = StatementDeliveryChanged(
        number=node.number, option=command.option, former=former, version=version, language=command.language
    )
    for event in (changed, told):
        tx.publish(event, subject=node.number)


def _check_whose(settings: Iterable[Setting], tx: Transaction) -> None:
    foreign = sorted(set(settings) - CLIENTS_SETTINGS)
    if not foreign or tx.actor.party is Party.ISSUER:
        return
    text = f"Only the issuer sets the {foreign[0]}."
    if foreign[0] is Setting.STATEMENT_OPTION:
        text = "Change it by statement-delivery, where its terms are accepted."
    raise Rejected("setting_is_the_issuers", text, foreign[0])
