"""The issuer's first operator: whoever sets an installation up enrols one person, who enrols everybody else."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.enrolment import enrol_user
from services.identity.first_sign_in import issue_access_code
from services.identity.model import Grant, change
from shared.actor import EVERYWHERE, Party
from shared.contracts.types import Channel, Language
from shared.errors import Rejected
from shared.history import note_act
from shared.ids import new_message_id
from shared.settings import Settings

_ROLE = "issuer_operator"
_ENROLS_COMPANIES = "companies.enrol"


def enrol_operator(
    session: orm.Session,
    *,
    name: str,
    email: str,
    phrase: str,
    language: Language,
    now: datetime,
    settings: Settings,
    another: bool,
) -> str:
    """Return the access code, in clear, of a new operator who may do everything that the issuer does (IDN-01).

    Raises Rejected where somebody may enrol companies already, unless ``another`` one is wanted.
    """
    if not another and _is_there_one(session):
        raise Rejected("operator_present", "There is an operator already. --another enrols one more.")
    user = enrol_user(
        session,
        name=name,
        party=Party.ISSUER,
        company=None,
        role=_ROLE,
        control_accounts=[EVERYWHERE],
        email=email,
        phone=None,
        language=language,
        now=now,
    )
    note_act(
        session,
        change,
        user.id,
        {"name": (None, name), "role": (None, _ROLE), "status": (None, user.status)},
        now=now,
        act="enrol-operator",
        act_id=new_message_id(),
        actor="operator",
        channel=Channel.OPERATOR,
    )
    return issue_access_code(session, user, phrase=phrase, now=now, settings=settings)


def _is_there_one(session: orm.Session) -> bool:
    granted = Grant.function == _ENROLS_COMPANIES, Grant.control_account == EVERYWHERE
    return session.scalar(sa.select(Grant.user).where(*granted).limit(1)) is not None
