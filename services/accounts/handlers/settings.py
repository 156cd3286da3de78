"""Setting what holds at a control account and below it (PRG-02, Part 2 no. 18)."""

from collections.abc import Iterable

from services.accounts.handlers.structure import lock_structure
from services.accounts.model import ControlAccount
from services.accounts.rules import CLIENTS_SETTINGS
from services.accounts.settings import own_settings, set_own
from shared.actor import Party
from shared.contracts.structure import ChangeControlAccountSettings, ControlAccountSettingsChanged, Setting
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


def _check_whose(settings: Iterable[Setting], tx: Transaction) -> None:
    foreign = sorted(set(settings) - CLIENTS_SETTINGS)
    if foreign and tx.actor.party is not Party.ISSUER:
        raise Rejected("setting_is_the_issuers", f"Only the issuer sets the {foreign[0]}.", foreign[0])
