"""What signed-in users do about their own access: sessions, password, second factor. It asks for no function."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from flask import Blueprint, Response, g
from sqlalchemy import orm

from services.identity import second_factor
from services.identity.api.refusing import admit_the_signed_in
from services.identity.model import User
from services.identity.new_password import change_password
from services.identity.sessions import (
    own_sessions,
    revoke_own_session,
    revoke_sessions_of,
    signed_in_user,
)
from shared.contracts.access import OneTimePassword, OwnSessions, PasswordChange, RecoveryCodes
from shared.contracts.schema import strict
from shared.sealing import seal_of
from shared.service import Running
from shared.web.app import json_body, json_response

T = TypeVar("T")


def own_endpoints(running: Running) -> Blueprint:
    """Return ``/me/sessions``, ``/me/password`` and ``/me/second-factor``."""
    endpoints = Blueprint("own", __name__)
    endpoints.before_request(admit_the_signed_in)
    _add_sessions(endpoints, running)
    _add_password(endpoints, running)
    _add_second_factor(endpoints, running)
    return endpoints


def _add_sessions(endpoints: Blueprint, running: Running) -> None:
    database, clock = running.database, running.clock
    lifetime = timedelta(minutes=running.settings.session_minutes)

    @endpoints.get("/me/sessions")
    def list_sessions() -> Response:
        with database.read() as session:
            user = signed_in_user(session, g.actor)
            found = own_sessions(session, user.id, g.actor.session_id, now=clock(), lifetime=lifetime)
        return json_response(OwnSessions(data=found))

    @endpoints.delete("/me/sessions/<session_id>")
    def end_one(session_id: str) -> Response:
        with database.write() as session:
            revoke_own_session(session, signed_in_user(session, g.actor).id, session_id, clock())
        return Response(status=204)

    @endpoints.delete("/me/sessions")
    def end_others() -> Response:
        with database.write() as session:
            revoke_sessions_of(session, signed_in_user(session, g.actor).id, clock(), but=g.actor.session_id)
        return Response(status=204)


def _add_password(endpoints: Blueprint, running: Running) -> None:
    @endpoints.post("/me/password")
    def change() -> Response:
        given: PasswordChange = strict(PasswordChange).load(json_body())
        change_password(running.database, g.actor, given, running.clock())
        return Response(status=204)


def _add_second_factor(endpoints: Blueprint, running: Running) -> None:
    database, clock, settings = running.database, running.clock, running.settings

    @contextmanager
    def changing() -> Iterator[tuple[orm.Session, User]]:
        with database.write() as session:
            yield session, signed_in_user(session, g.actor)

    def proven(change: Callable[[orm.Session, User], T]) -> T:
        """Do what takes a one-time password as a proof."""
        given: OneTimePassword = strict(OneTimePassword).load(json_body())
        return second_factor.with_proof(database, g.actor, given.otp, clock(), seal_of(settings), change)

    @endpoints.get("/me/second-factor")
    def state() -> Response:
        with database.read() as session:
            return json_response(second_factor.state_of(session, signed_in_user(session, g.actor)))

    @endpoints.post("/me/second-factor")
    def offer() -> Response:
        with changing() as (session, user):
            return json_response(second_factor.offer(session, user, seal_of(settings)))

    @endpoints.post("/me/second-factor/confirm")
    def confirm() -> Response:
        given: OneTimePassword = strict(OneTimePassword).load(json_body())
        with changing() as (session, user):
            codes = second_factor.confirm(session, user, given.otp, clock(), seal_of(settings))
        return json_response(RecoveryCodes(recovery_codes=codes))

    @endpoints.post("/me/second-factor/recovery-codes")
    def renew() -> Response:
        return json_response(RecoveryCodes(recovery_codes=proven(second_factor.new_recovery_codes)))

    @endpoints.post("/me/second-factor/remove")
    def remove() -> Response:
        with database.read() as session:
            second_factor.check_may_give_up(session, signed_in_user(session, g.actor))
        proven(lambda session, user: second_factor.give_up(session, user, clock()))
        return Response(status=204)
