"""Contact data: a user's own, and what the help desk changes (IDN-09)."""

import sqlalchemy as sa

from services.identity.entitlements import user_to_change
from services.identity.model import User
from shared.contracts.identity import ChangeContact, ChangeOwnContact, ContactChanged
from shared.errors import NotFound, Rejected
from shared.messaging.transaction import Transaction


def change_contact(command: ChangeContact, tx: Transaction) -> None:
    """Change a user's contact data (IDN-09)."""
    _change_contact(user_to_change(command.user, tx), command, tx)


def change_own_contact(command: ChangeOwnContact, tx: Transaction) -> None:
    """Change the asker's own contact data (IDN-09)."""
    _change_contact(asker(tx), command, tx)


def _change_contact(user: User, command: ChangeContact | ChangeOwnContact, tx: Transaction) -> None:
    wanted = {name: getattr(command, name, None) for name in ("name", "email", "phone", "language")}
    changed = {name: new for name, new in wanted.items() if new is not None and new != getattr(user, name)}
    if not changed:
        raise Rejected("nothing_changes", "This is what is known already.")
    told = [user.recipient]
    for name, new in changed.items():
        setattr(user, name, new)
    if user.email != told[0].email:
        told.append(user.recipient)
    tx.publish(ContactChanged(user=user.id, company=user.company, recipients=told), subject=user.id)


def asker(tx: Transaction) -> User:
    """Return the user who sent the command, locked; raises NotFound where there is none any more."""
    id_ = tx.session.scalar(sa.select(User.id).where(User.user_id == tx.actor.user_id))
    if id_ is None:
        raise NotFound("user")
    tx.batch.load("user", [id_])
    user: User = tx.batch.loaded[User][id_]
    tx.watch(user)
    return user
