"""What identity declares of itself: its tables, its endpoints and what the clock starts."""

from pathlib import Path

from services.identity.api import make_endpoints
from services.identity.jobs import JOBS
from services.identity.model import Base
from shared.service import Service

service = Service(
    name="identity",
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    jobs=JOBS,
    endpoints=make_endpoints,
)
