"""Identity's endpoints: how people come in, and what they change of their own access.

None is a contract: secrets travel here over HTTP and in no message (ADR 0012). The first half asks for an assertion of
the gateway speaking for itself, the second for one of a signed-in user.
"""

from flask import Blueprint

from services.identity.api.enrolment import enrolment_endpoints
from services.identity.api.own_access import own_endpoints
from services.identity.api.password_reset import password_reset_endpoints
from services.identity.api.refusing import refusal_problem
from services.identity.api.sessions import MOST_TOKENS, session_endpoints
from shared.errors import Rejected
from shared.service import Running

__all__ = ["MOST_TOKENS", "make_endpoints"]


def make_endpoints(running: Running) -> Blueprint:
    """Return every endpoint of identity that is no contract."""
    endpoints = Blueprint("access", __name__)
    endpoints.register_error_handler(Rejected, lambda refusal: refusal_problem(refusal).response())
    for part in (session_endpoints, enrolment_endpoints, password_reset_endpoints, own_endpoints):
        endpoints.register_blueprint(part(running))
    return endpoints
