"""The declaration of the tracking service."""

from datetime import timedelta
from pathlib import Path

from services.tracking import handlers, jobs
from services.tracking.api import endpoints
from services.tracking.counting import count_days
from services.tracking.model import metadata
from services.tracking.queries import requests
from services.tracking.queries.overview import get_overview
from services.tracking.reactions import note_account, note_control_account, note_name, note_transfer
from services.tracking.recording import record
from shared.contracts import accounts as accounts_language
from shared.contracts import structure as structure_language
from shared.contracts import tracking as language
from shared.service import Job, Service

service = Service(
    name="tracking",
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    handlers={
        language.ApproveRequest: handlers.approve_request,
        language.RefuseRequest: handlers.refuse_request,
        language.WithdrawRequest: handlers.withdraw_request,
    },
    reactions={
        structure_language.ControlAccountOpened: note_control_account,
        structure_language.ControlAccountMoved: note_control_account,
        accounts_language.AccountOpened: note_account,
        accounts_language.AccountTransferred: note_transfer,
        accounts_language.AccountHolderChanged: note_name,
    },
    queries={
        language.FindRequests: requests.find_requests,
        language.SearchRequests: requests.search_requests,
        language.GetRequest: requests.get_request,
        language.GetRequestOverview: get_overview,
        language.ListServiceTimes: requests.list_service_times,
    },
    jobs=(
        Job(name="enter-lingering", every=timedelta(seconds=5), run=jobs.enter_lingering),
        Job(name="count-days", every=timedelta(minutes=1), run=count_days),
        Job(name="make-months", every=timedelta(hours=6), run=jobs.make_months_ahead),
        Job(name="forget-months", every=timedelta(minutes=1), run=jobs.forget_months),
    ),
    observe=record,
    endpoints=endpoints,
    plans_once=True,
)
