"""The published language: one frozen dataclass for each command, event and read.

Everything else about a message derives from its declaration: name, routing key, schema, HTTP route, permission,
service time, masking, OpenAPI and AsyncAPI. This package reaches neither Flask nor SQLAlchemy nor a broker.
"""

from importlib import import_module
from pkgutil import iter_modules


def load_all() -> None:
    """Import every module of this package, so that each declaration is in the catalogue."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
