"""Has the rows of a file posted: from then on the worker goes through them, as often as it takes."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from services.statements.model import file_import
from shared.contracts.imports import ImportState
from shared.errors import NotFound, Rejected


def submit(session: orm.Session, import_id: str, now: datetime, **asked: Any) -> None:
    """Have a file posted; raises Rejected where it cannot be. ``asked`` says by which command, and whose."""
    wanted = sa.select(file_import.c.state).where(file_import.c.id == import_id)
    state = session.scalar(wanted.with_for_update())
    if state in {None, ImportState.RECEIVING, ImportState.DISCARDED}:
        raise NotFound("file", "import_id")
    if state != ImportState.CHECKED:
        raise Rejected(
            "already_submitted", "This file has been submitted; its rows are posted once.", "import_id"
        )
    session.execute(
        sa.update(file_import)
        .where(file_import.c.id == import_id)
        .values(state=ImportState.POSTING, submitted_at=now, **asked)
    )
