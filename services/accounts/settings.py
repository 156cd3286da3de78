"""What holds at a control account: its own settings, and what it inherits from those above (PRG-02, Part 2 no. 18)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from services.accounts.model import CardAccount, ControlAccount
from shared.contracts.accounts import Product
from shared.contracts.structure import DEFAULT_SETTINGS, Setting, SettingsInForce
from shared.messaging.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Effect:
    """The settings in force, and for each the number of the control account that sets it, None for a default."""

    settings: SettingsInForce
    set_at: Mapping[str, str | None]


def own_settings(node: ControlAccount) -> dict[str, Any]:
    """Return the settings that a control account has of its own, by name; None stands for what it inherits."""
    own = {str(setting): getattr(node, setting) for setting in Setting}
    if node.products is not None:
        own["products"] = [Product(word) for word in node.products.split()]
    return own


def set_own(node: ControlAccount, changes: Mapping[str, Any]) -> None:
    """Give a control account settings of its own, by name; None lets it inherit again."""
    for setting, value in changes.items():
        setattr(node, setting, _stored(setting, value))


def _stored(setting: str, value: Any) -> Any:
    if setting != Setting.PRODUCTS or value is None:
        return value
    return " ".join(product for product in Product if product in value)


def effect_of(path: Sequence[ControlAccount]) -> Effect:
    """Return what holds at the end of a path, which begins at the master: the nearest control account decides."""
    values: dict[str, Any] = asdict(DEFAULT_SETTINGS)
    set_at: dict[str, str | None] = dict.fromkeys(values)
    for node in path:
        for setting, value in own_settings(node).items():
            if value is not None:
                values[setting], set_at[setting] = value, node.number
    return Effect(SettingsInForce(**values), set_at)


def settings_at(node: ControlAccount, tx: Transaction) -> SettingsInForce:
    """Return what holds at a control account; the first in a batch to ask has all that may be asked loaded at once."""
    batch = tx.batch
    nodes = {one for account in batch.loaded.get(CardAccount, {}).values() for one in account.control_path}
    nodes |= {one for known in batch.loaded.get(ControlAccount, {}).values() for one in known.control_path}
    batch.load("control_account", nodes | set(node.control_path))
    known = batch.loaded[ControlAccount]
    return effect_of([known[number] for number in node.control_path]).settings
