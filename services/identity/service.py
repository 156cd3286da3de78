"""What identity declares of itself: its tables and its endpoints. No message concerns it yet."""

from pathlib import Path

from services.identity.api import make_endpoints
from services.identity.model import Base
from shared.service import Service

service = Service(
    name="identity",
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    endpoints=make_endpoints,
)
