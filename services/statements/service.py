"""The declaration of the statements service."""

from pathlib import Path

from services.statements.model import metadata
from shared.service import Service

service = Service(name="statements", metadata=metadata, migrations=Path(__file__).parent / "migrations")
