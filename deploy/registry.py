"""Finds the services: a folder under ``services/`` with a ``service.py``. No list of them is kept anywhere."""

from functools import cache
from importlib import import_module
from pathlib import Path

import services
from shared.contracts import load_all
from shared.service import Service


@cache
def find_services() -> dict[str, Service]:
    """Return every service by name, and load every contract."""
    load_all()
    root = Path(services.__path__[0])
    folders = sorted(file.parent.name for file in root.glob("*/service.py"))
    found = [import_module(f"services.{folder}.service").service for folder in folders]
    return {service.name: service for service in found}
