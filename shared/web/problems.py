"""Every error over HTTP is an RFC 9457 problem with a stable code; this is the one place that maps errors to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from flask import Flask, Response, g, has_request_context, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from shared.contracts.schema import REQUIRED, UNKNOWN
from shared.errors import NotFound, Rejected, Unavailable

RETRY_AFTER_SECONDS = 2
NOT_SIGNED_IN = "not_signed_in"
_TYPE = "https://cardwork.example/problems/"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong field; ``pointer`` is a JSON pointer into the body, or the name of a parameter."""

    pointer: str
    code: str
    message: str


class Problem(Exception):
    """An answer that is an error: HTTP status, stable code, and words for the person who meets it."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        title: str,
        detail: str | None = None,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> Response:
        """Return the problem as an HTTP answer."""
        body: dict[str, Any] = {
            "type": _TYPE + self.code.replace("_", "-"),
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "instance": request.path if has_request_context() else None,
            "request_id": g.get("request_id") if has_request_context() else None,
            **self.members,
        }
        if self.errors:
            body["errors"] = [
                {"pointer": f.pointer, "code": f.code, "message": f.message} for f in self.errors
            ]
        given = {name: value for name, value in body.items() if value is not None}
        answer = Response(orjson.dumps(given), self.status, content_type="application/problem+json")
        answer.headers.update(self.headers)
        return answer


def not_signed_in(detail: str = "Sign in, then send the token as Authorization: Bearer …") -> Problem:
    """Return the problem of a request without a good session."""
    return Problem(
        status=401,
        code=NOT_SIGNED_IN,
        title="You are not signed in.",
        detail=detail,
        headers={"WWW-Authenticate": 'Bearer realm="cardwork"'},
    )


def function_not_granted(function: str) -> Problem:
    """Return the problem of a caller who lacks a function (IDN-05)."""
    return Problem(
        status=403,
        code="function_not_granted",
        title="You may not do this.",
        detail=f"The function {function} is not granted to you. Your programme's principal administrator can ask for it.",
    )


def invalid_input(messages: Mapping[str, Any], *, in_body: bool) -> Problem:
    """Return the problem of input that does not fit its schema, naming each field."""
    faults = list(_faults(messages, "/" if in_body else ""))
    named = ", ".join(sorted({fault.pointer.strip("/") for fault in faults}))
    return Problem(
        status=422,
        code="invalid_input",
        title="The input is not valid.",
        detail=f"Look at: {named}.",
        errors=faults,
    )


def _faults(messages: Mapping[str, Any], start: str) -> list[Fault]:
    found: list[Fault] = []
    for field, what in messages.items():
        pointer = f"{start}{field}"
        if isinstance(what, Mapping):
            found += _faults(what, f"{pointer}/")
        else:
            # Of two rules that are broken and say the same, one is enough.
            found += [Fault(pointer, _code_of(text), text) for text in dict.fromkeys(map(str, what))]
    return found


def _code_of(message: str) -> str:
    if message == REQUIRED:
        return "required"
    return "unknown_field" if message.startswith(UNKNOWN) else "invalid"


def problem_of(error: Exception) -> Problem:
    """Return the problem that an error is answered with; a defect is logged and says nothing of itself."""
    match error:
        case Problem():
            return error
        case NotFound():
            return Problem(status=404, code=error.code, title="There is no such thing.", detail=error.message)
        case Rejected():
            return Problem(
                status=422,
                code=error.code,
                title="This was refused.",
                detail=error.message,
                field=error.field,
            )
        case Unavailable():
            return unavailable(str(error))
        case ValidationError():
            return invalid_input(error.messages_dict, in_body=request.method == "POST")
        case HTTPException():
            return _plain(error)
    log.error("request failed", path=request.path, exc_info=error)
    return Problem(
        status=500,
        code="internal_error",
        title="Something went wrong on our side.",
        detail="It has been noted under this request_id. Trying again may help.",
    )


def unavailable(detail: str) -> Problem:
    """Return the problem of a server that is away for now (503)."""
    return Problem(
        status=503,
        code="unavailable",
        title="This cannot be done right now.",
        detail=f"{detail[:1].upper()}{detail[1:]}. Nothing is lost; try again shortly.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _plain(error: HTTPException) -> Problem:
    status = error.code or 500
    code = (error.name or "error").lower().replace(" ", "_")
    title, detail, headers = f"{error.name}.", error.description, {}
    if status == 404:
        title, detail = "There is no such route.", "The routes of the API are described at /api/v1/docs."
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers["Allow"] = ", ".join(sorted(error.valid_methods))
        detail = f"This route takes {headers['Allow']}."
    return Problem(status=status, code=code, title=title, detail=detail, headers=headers)


def answer_with_problems(app: Flask) -> None:
    """Make an app answer every error with a problem."""
    app.register_error_handler(Exception, lambda error: problem_of(error).response())
