"""What identity declares of itself: tables and endpoints; it has no command of its own yet."""

from pathlib import Path

from services.identity.model import Base
from shared.service import Service

service = Service(
    name="identity",
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
)
