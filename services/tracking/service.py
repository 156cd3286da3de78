"""The declaration of the tracking service."""

from pathlib import Path

from services.tracking import queries
from services.tracking.api import endpoints
from services.tracking.model import metadata
from services.tracking.reactions import record
from shared.contracts import tracking as language
from shared.service import Service

service = Service(
    name="tracking",
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    queries={
        language.FindRequests: queries.find_requests,
        language.GetRequest: queries.get_request,
        language.GetRequestOverview: queries.get_overview,
    },
    observe=record,
    endpoints=endpoints,
)
