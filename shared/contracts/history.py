"""One line of a change history, as every service that keeps one shows it (ACC-18, Part 2 no. 9)."""

from datetime import datetime
from typing import Annotated

from shared.contracts.base import view
from shared.contracts.types import Channel, Note


@view
class FieldChange:
    """One field of one thing changed: the old and the new value, who did it, for whom, when, over which channel."""

    at: datetime
    field: str
    old: str | None
    new: str | None
    actor: str
    on_behalf_of: str | None
    channel: Channel
    command: str
    command_id: str
    tracking_number: Annotated[str | None, Note("null while tracking is away")] = None
