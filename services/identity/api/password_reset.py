"""Forgotten passwords (IDN-03)."""

from flask import Blueprint, Response

from services.identity.password_reset import ask_for_reset, reset_password
from shared.contracts.access import MailOnItsWay, PasswordForgotten, PasswordReset
from shared.contracts.schema import strict
from shared.sealing import seal_of
from shared.service import Running
from shared.web.app import json_body, json_response, only_the_gateway

_ASKED = MailOnItsWay(
    message="If there is such a user, a mail with a link to choose a new password is on its way. "
    "If you have forgotten your user ID, ask your help desk."
)


def password_reset_endpoints(running: Running) -> Blueprint:
    """Return ``POST /password-reset`` and ``POST /password-reset/confirm``."""
    endpoints = Blueprint("password-reset", __name__)
    endpoints.before_request(only_the_gateway)
    database, clock, settings = running.database, running.clock, running.settings

    @endpoints.post("/password-reset")
    def ask() -> Response:
        given: PasswordForgotten = strict(PasswordForgotten).load(json_body())
        with database.write() as session:
            ask_for_reset(session, given.user_id, clock(), seal_of(settings))
        return json_response(_ASKED, 202)

    @endpoints.post("/password-reset/confirm")
    def confirm() -> Response:
        given: PasswordReset = strict(PasswordReset).load(json_body())
        reset_password(database, given, clock(), settings)
        return Response(status=204)

    return endpoints
