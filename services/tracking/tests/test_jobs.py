"""What the clock does to requests: months come and go, and what waits stays (ADR 0011)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import make_url

from deploy.provision.databases import prepare_databases
from services.tracking import jobs
from services.tracking.model import request, request_key, step
from services.tracking.service import service
from services.tracking.tests.conftest import NOON, PATH, Tracking
from shared.contracts.outcomes import CommandAccepted, CommandCompleted, RequestStatus
from shared.contracts.tracking import FindRequests, GetRequest, GetRequestOverview
from shared.database import Database
from shared.errors import NotFound
from shared.migrations import upgrade
from shared.testing.databases import Postgres

YEAR = timedelta(days=365)


def rows(tracking: Tracking) -> dict[str, int]:
    with tracking.database.read() as session:
        return {
            table.name: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (request, request_key, step)
        }


def partitions(tracking: Tracking) -> set[str]:
    with tracking.database.read() as session:
        return set(session.scalars(sa.text("select inhrelid::regclass::text from pg_inherits"))) & {
            f"months.{name}_{month}"
            for name in ("request", "step")
            for month in ("2015_01", "2015_02", "2026_03")
        }


def test_what_is_older_than_the_setting_is_forgotten(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A portion at a time, with keys, steps and counts; what waits keeps its month until it is settled."""
    monkeypatch.setattr(jobs, "FORGOTTEN_AT_ONCE", 2)
    tracking.settings = replace(tracking.settings, tracking_months=12)
    old = [tracking.cancellation(time=NOON - YEAR - timedelta(days=40, minutes=n)) for n in range(5)]
    waiting = tracking.cancellation(time=NOON - 2 * YEAR)
    beside = tracking.cancellation(time=NOON - 2 * YEAR)
    kept = tracking.cancellation(time=NOON - YEAR)
    tracking.hear(*old, waiting, beside, kept)
    tracking.hear(*(tracking.outcome(one, CommandCompleted) for one in (*old, beside, kept)))
    tracking.hear(tracking.outcome(waiting, CommandAccepted, status=RequestStatus.SCHEDULED))

    tracking.run_jobs(20)

    left = {row.command_id for row in tracking.ask(FindRequests()).data}
    assert left == {waiting.id, beside.id, kept.id}
    assert rows(tracking) == {"request": 3, "request_key": 3, "step": 6}
    assert tracking.counts(GetRequestOverview()) == {"completed": 2, "scheduled": 1}
    with pytest.raises(NotFound):
        tracking.ask(GetRequest(tracking_number=old[0].id))

    tracking.hear(tracking.outcome(waiting, CommandCompleted))
    tracking.run_jobs(3)

    assert [row.command_id for row in tracking.ask(FindRequests()).data] == [kept.id]
    assert tracking.counts(GetRequestOverview()) == {"completed": 1}


def test_what_is_within_the_setting_stays(tracking: Tracking) -> None:
    tracking.hear(old := tracking.cancellation(time=NOON - 6 * YEAR))
    tracking.hear(tracking.outcome(old, CommandCompleted))
    tracking.run_jobs(3)
    assert rows(tracking) == {"request": 1, "request_key": 1, "step": 2}


def test_any_instant_finds_its_month(tracking: Tracking) -> None:
    """However far back or ahead, and again after it was forgotten."""
    for instant in (datetime(2001, 2, 3, tzinfo=UTC), datetime(2099, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)):
        tracking.hear(tracking.cancellation(time=instant), tracking.cancellation(time=instant))
    assert rows(tracking)["request"] == 4
    first = tracking.cancellation(time=datetime(2001, 2, 3, tzinfo=UTC))
    with tracking.database.read() as session:
        ids = list(session.scalars(sa.select(request.c.command_id).where(request.c.received_at < NOON)))
    for id_ in ids:
        done = CommandCompleted(command_id=id_, command="accounts.cancel-account")
        tracking.hear(replace(first, id=id_, correlation_id=id_).causes(done, source="accounts", time=NOON))
    tracking.run_jobs(3)
    assert rows(tracking)["request"] == 2
    tracking.hear(first)
    assert rows(tracking)["request"] == 3


@pytest.fixture
def as_in_production(postgres: Postgres) -> Iterator[Tracking]:
    """Tracking by its own role, which may read and write rows, in tables that belong to another."""
    prepare_databases(postgres.url, owner="cw_owner", passwords={"cw_owner": "owner", "tracking": "service"})
    url = make_url(postgres.url).set(database="tracking")
    upgrade(service, url.set(username="cw_owner", password="owner").render_as_string(hide_password=False))
    database = Database(
        url.set(username="tracking", password="service").render_as_string(hide_password=False)
    )
    yield Tracking(database)
    database.close()
    postgres.execute("drop database {} with (force)", "tracking")
    postgres.execute("drop role {}", "tracking")
    postgres.execute("drop role {}", "cw_owner")


def test_the_service_makes_and_drops_months_without_owning_tables(as_in_production: Tracking) -> None:
    """It may do these two things and nothing else to tables."""
    tracking = as_in_production
    old = tracking.cancellation(time=datetime(2015, 1, 31, 23, 59, 59, tzinfo=UTC))
    waiting = tracking.cancellation(time=datetime(2015, 2, 1, tzinfo=UTC))
    tracking.hear(old, waiting)
    tracking.hear(tracking.outcome(old, CommandCompleted))
    tracking.now = NOON
    tracking.run_jobs(2)
    assert partitions(tracking) >= {"months.request_2015_02", "months.step_2015_02", "months.request_2026_03"}
    assert not partitions(tracking) & {"months.request_2015_01", "months.step_2015_01"}
    assert [row.command_id for row in tracking.ask(FindRequests(control_account=PATH[2])).data] == [
        waiting.id
    ]
    connection = psycopg.connect(
        tracking.database.engines[0].url.set(drivername="postgresql").render_as_string(False)
    )
    for forbidden, error in (
        ("drop table months.request_2015_02", psycopg.errors.InsufficientPrivilege),
        ("select drop_month('2015-02-01')", psycopg.errors.RaiseException),
        ("create table months.mine (a int)", psycopg.errors.InsufficientPrivilege),
    ):
        with pytest.raises(error), connection.transaction():
            connection.execute(forbidden.encode())
    connection.close()


def test_the_coming_months_are_made_ahead(as_in_production: Tracking) -> None:
    as_in_production.now = datetime(2031, 11, 30, tzinfo=UTC)
    as_in_production.run_jobs()
    with as_in_production.database.read() as session:
        made = set(session.scalars(sa.text("select inhrelid::regclass::text from pg_inherits")))
    assert {f"months.request_{month}" for month in ("2031_11", "2031_12", "2032_01", "2032_02")} <= made
