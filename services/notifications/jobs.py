"""What the clock starts: sending what is due, doubting what was left half done, forgetting what is old."""

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
import structlog

from services.notifications.letters import Letter, write
from services.notifications.model import Mail
from services.notifications.outlets import outlet_of
from services.notifications.post import Away, Doubtful, Outlet, PutOff, Refused, message_of
from services.notifications.queries import abandoned, claimed, next_due
from services.notifications.rules import State
from shared.contracts.types import Language
from shared.messaging.transaction import Transaction
from shared.sealing import seal_of
from shared.service import Transact
from shared.settings import Settings

MOST_AT_ONCE = 50
# A worker consumes nothing and tells its broker nothing meanwhile.
_LONGEST_RUN = timedelta(seconds=10)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    state: State
    why: str = ""
    server_away: bool = False


def send_due_mails(transact: Transact) -> int:
    """Send what is due: a mail is committed as being sent before any server hears of it, so that no other worker sends it.

    Returns how many were accepted. A run is short, and ends early where there is no mail server.
    """
    with transact() as tx:
        settings, until = tx.settings, tx.now + _LONGEST_RUN
    sent = 0
    with outlet_of(settings) as outlet:
        for _ in range(MOST_AT_ONCE):
            with transact() as tx:
                mail = _take_up(tx) if tx.now < until else None
            if mail is None:
                break
            outcome = _try(mail, outlet, settings)
            with transact() as tx:
                _write_down(mail, outcome, tx)
            sent += outcome.state is State.SENT
            if outcome.server_away:
                break
    return sent


def doubt_abandoned_mails(tx: Transaction) -> int:
    """Set aside, for an operator to decide, the mails whose sender was killed before it told what became of them."""
    mails = abandoned(tx.session, tx.now)
    for mail in mails:
        mail.doubt("whoever sent it ended before telling what became of it")
        _log(mail)
    return len(mails)


def forget_old_mails(tx: Transaction) -> int:
    """Remove what was sent, or given up, longer ago than CARDWORK_MAIL_DAYS."""
    before = tx.now - timedelta(days=tx.settings.mail_days)
    ended = Mail.state.in_((State.SENT, State.FAILED, State.UNCERTAIN))
    result = tx.session.execute(sa.delete(Mail).where(ended, Mail.due_at < before))
    return int(getattr(result, "rowcount", 0))


def _take_up(tx: Transaction) -> Mail | None:
    mail = next_due(tx.session, tx.now)
    if mail is not None:
        mail.claim(tx.now)
    return mail


def _try(mail: Mail, outlet: Outlet, settings: Settings) -> _Outcome:
    assert mail.claimed_at is not None
    try:
        letter = Letter.open(mail.letter, seal_of(settings))
        if letter.has_expired(mail.claimed_at):
            return _Outcome(state=State.FAILED, why="what it tells had expired before it could be sent")
        language = Language(mail.language)
        message = message_of(
            mail.id,
            write(mail.template, language, letter, portal_url=settings.portal_url),
            letter,
            language=language,
            sender=settings.mail_sender,
            now=mail.claimed_at,
        )
    except Refused as error:
        return _Outcome(state=State.FAILED, why=str(error))
    except Exception:  # one mail that cannot be written must not keep the others from going out
        log.exception("mail not written", mail_id=mail.id, template=mail.template)
        return _Outcome(state=State.FAILED, why="it cannot be written; the log says why")
    try:
        outlet.send(message)
    except PutOff as error:
        return _Outcome(state=State.WAITING, why=str(error), server_away=isinstance(error, Away))
    except Refused as error:
        return _Outcome(state=State.FAILED, why=str(error))
    except Doubtful as error:
        return _Outcome(state=State.UNCERTAIN, why=str(error))
    except Exception:  # nobody knows how far it came
        log.exception("mail in doubt", mail_id=mail.id, template=mail.template)
        return _Outcome(state=State.UNCERTAIN, why="a defect while it was handed over; the log says which")
    return _Outcome(state=State.SENT)


def _write_down(tried: Mail, outcome: _Outcome, tx: Transaction) -> None:
    """Note what became of a try, unless an operator was quicker to decide about the mail."""
    mail = claimed(tx.session, tried.id, tried.claimed_at)
    if mail is None:
        log.warning("mail decided about meanwhile", mail_id=tried.id, became=outcome.state)
        return
    match outcome.state:
        case State.SENT:
            seal = seal_of(tx.settings)
            mail.succeed(tx.now, Letter.open(mail.letter, seal).address_alone().seal(seal))
        case State.WAITING:
            mail.put_off(tx.now, outcome.why, most_attempts=tx.settings.mail_attempts)
        case State.FAILED:
            mail.fail(outcome.why)
        case _:
            mail.doubt(outcome.why)
    _log(mail)


def _log(mail: Mail) -> None:
    facts = {"mail_id": mail.id, "template": mail.template, "attempts": mail.attempts, "state": mail.state}
    if mail.state == State.SENT:
        log.info("mail sent", **facts)
    elif mail.state == State.WAITING:
        log.warning("mail put off", why=mail.error, due_at=mail.due_at, **facts)
    else:
        log.error("mail not sent", why=mail.error, **facts)
