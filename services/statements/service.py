"""The declaration of the statements service."""

from datetime import timedelta
from pathlib import Path

from services.statements.imports import posting
from services.statements.model import metadata
from shared.service import Errand, Service

service = Service(
    name="statements",
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    jobs=[Errand(name=posting.POST_IMPORTS, every=timedelta(seconds=1), run=posting.post_imports)],
)
