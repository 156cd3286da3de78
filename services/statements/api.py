"""What the service answers beside its reads: files that come, and papers and exports that go."""

from flask import Blueprint

from services.statements.exports.api import export_endpoints
from services.statements.imports.api import import_endpoints
from services.statements.papers.api import paper_endpoints
from shared.service import Running


def file_endpoints(running: Running) -> Blueprint:
    """Return the endpoints of imports, papers and exports."""
    endpoints = Blueprint("files", __name__)
    endpoints.register_blueprint(import_endpoints(running))
    endpoints.register_blueprint(paper_endpoints(running))
    endpoints.register_blueprint(export_endpoints(running))
    return endpoints
