"""An errand's transactions are each its own: what one committed stays and goes out, whatever becomes of the next."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from deploy.keys import make_keys
from shared.actor import Verifier
from shared.clock import utc_now
from shared.contracts import load_all
from shared.contracts.identity import UserReactivated
from shared.database import Database, sqlite_url
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import decode
from shared.messaging.inbox import define_inbox
from shared.messaging.outbox import define_outbox
from shared.messaging.transaction import Transaction
from shared.observability import Metrics
from shared.service import Errand, Job, Service, Transact
from shared.settings import Settings

METADATA = sa.MetaData()
define_inbox(METADATA)
OUTBOX = define_outbox(METADATA)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind with inbox and outbox."""
    sqlite = request.param == "sqlite"
    database = Database(
        sqlite_url(tmp_path / "errands.sqlite") if sqlite else request.getfixturevalue("database").url
    )
    METADATA.create_all(database.engines[0])
    yield database
    database.close()


def dispatcher(store: Database, *jobs: Job | Errand) -> Dispatcher:
    """Return a dispatcher of a service that does nothing but these jobs."""
    load_all()
    return Dispatcher(
        Service(name="errands", metadata=METADATA, migrations=Path(), jobs=jobs),
        store,
        settings=Settings(),
        verifier=Verifier(make_keys()["assertion_public_key"], "errands"),
        clock=utc_now,
        metrics=Metrics(),
    )


def rows(store: Database) -> list[str]:
    with store.read() as session:
        return list(session.scalars(sa.select(OUTBOX.c.message_id).order_by(OUTBOX.c.id)))


def test_what_is_committed_before_the_answer_is_seen_by_everybody(store: Database) -> None:
    seen: list[int] = []

    def run(transact: Transact) -> int:
        for user in ("first", "second"):
            with transact() as tx:
                tx.publish(UserReactivated(user=user, company=None))
            seen.append(len(rows(store)))
        return 2

    done = dispatcher(store, Errand(name="two", every=timedelta(hours=1), run=run)).run_jobs()
    assert seen == [1, 2]
    assert [publication.message_id for publication in done.publications] == rows(store)


def test_a_defect_takes_back_its_own_transaction_alone_and_keeps_no_other_job_from_running(
    store: Database,
) -> None:
    ran: list[str] = []

    def run(transact: Transact) -> int:
        with transact() as tx:
            tx.publish(UserReactivated(user="kept", company=None))
        with transact() as tx:
            tx.publish(UserReactivated(user="taken-back", company=None))
            raise RuntimeError("never thought of")

    def run_later(tx: Transaction) -> int:
        ran.append(tx.envelope.id)
        return 1

    hour = timedelta(hours=1)
    later = Job(name="later", every=hour, run=run_later)
    done = dispatcher(store, Errand(name="fails", every=hour, run=run), later).run_jobs()
    (publication,) = done.publications
    assert decode(publication.body).data == {"user": "kept", "company": None}
    assert rows(store) == [publication.message_id]
    assert len(ran) == 1


def test_what_a_transaction_wakes_runs_before_its_time(store: Database) -> None:
    """A job that wakes another one makes that urgent, and due at the next call."""
    ran: list[str] = []

    def first(_: Transaction) -> int:
        ran.append("first")
        return 1

    def second(tx: Transaction) -> int:
        tx.wake("first")
        ran.append("second")
        return 1

    hour = timedelta(hours=1)
    work = dispatcher(
        store, Job(name="first", every=hour, run=first), Job(name="second", every=hour, run=second)
    )
    assert work.run_jobs().urgent
    assert ran == ["first", "second"]
    assert not work.run_jobs().urgent
    assert ran == ["first", "second", "first"]
    work.run_jobs()
    assert len(ran) == 3


def test_what_is_gathered_is_finished_once_before_the_commit(store: Database) -> None:
    finished: list[list[str]] = []

    def finish(subjects: Mapping[str, Transaction]) -> None:
        finished.append(sorted(subjects))
        for subject, tx in subjects.items():
            tx.publish(UserReactivated(user=subject, company=None))

    def run(tx: Transaction) -> int:
        for subject in ("one", "two", "one"):
            tx.gather(finish, subject)
        assert finished == []
        return 2

    done = dispatcher(store, Job(name="gathers", every=timedelta(hours=1), run=run)).run_jobs()
    assert finished == [["one", "two"]]
    assert len(done.publications) == len(rows(store)) == 2
