"""The first sign-in (IDN-02)."""

from flask import Blueprint, Response

from services.identity.first_sign_in import enrol
from shared.contracts.access import Enrolled, Enrolment
from shared.contracts.schema import strict
from shared.service import Running
from shared.web.app import json_body, json_response, only_the_gateway


def enrolment_endpoints(running: Running) -> Blueprint:
    """Return ``POST /enrolment``."""
    endpoints = Blueprint("enrolment", __name__)
    endpoints.before_request(only_the_gateway)

    @endpoints.post("/enrolment")
    def begin() -> Response:
        given: Enrolment = strict(Enrolment).load(json_body())
        return json_response(Enrolled(user_id=enrol(running.database, given, running.clock())), 201)

    return endpoints
