"""Describes what the gateway answers beside the contracts: signing in, one's own access, and progress as it happens."""

import re
from dataclasses import dataclass
from typing import Any

from apispec import APISpec

from deploy.documents import edge
from deploy.documents.examples import example_of
from deploy.documents.parts import JSON, first_line, path_parameters, problems, ref
from shared.contracts import access
from shared.contracts.base import catalogue
from shared.contracts.bulk import CSV, XLSX
from shared.contracts.papers import PaperForm
from shared.contracts.schema import schema_of
from shared.contracts.types import Language

_BODY = (400, 413, 415, 422)
_ALWAYS = (429, 503)
_IN_PATH = re.compile(r"\{(\w+)\}")

TAGS = {
    "sessions": "Sign in, see what you may do, sign out.",
    "bulk": "Many accounts by a file: upload it, look at what each row would do, submit it, fetch the result.",
    "imports": "Transactions and payments by a file: upload it, look at what is wrong with it, post it, mend the rest.",
    "access": "Enrol, choose a new password, look after your sessions and your second factor.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    """One route: what is sent and what success is answered with.

    ``public`` ones need no session; where nothing has to be proved either, nobody can be refused (``proves``). ``files``
    are the media types of a file that is sent, or given; ``refusals`` are problems that others do not have; ``options``
    may stand in the query. One that ``speaks`` can be asked for in a language.
    """

    name: str
    tag: str
    summary: str
    method: str = "post"
    path: str
    takes: type[Any] | None = None
    status: int
    gives: type[Any] | None = None
    meaning: str = ""
    public: bool = False
    proves: bool = True
    files: tuple[str, ...] = ()
    refusals: tuple[int, ...] = ()
    options: tuple[str, ...] = ()
    speaks: bool = False

    def described(self) -> dict[str, Any]:
        """Return the operation as the document has it."""
        statuses = {
            *_ALWAYS, *(_BODY if self.method == "post" else ()), *((401,) if self.proves else ()), *self.refusals,
        }  # fmt: skip
        done: dict[str, Any] = {"description": self.meaning}
        if self.gives:
            done = {
                "description": self.meaning or first_line(self.gives),
                "content": {JSON: {"schema": ref(self.gives.__name__)}},
            }
        file = {media_type: {"schema": {"type": "string"}} for media_type in self.files}
        if self.files and self.method == "get":
            done["content"] = file
        found: dict[str, Any] = {
            "operationId": self.name,
            "tags": [self.tag],
            "summary": self.summary,
            "responses": {str(self.status): done, **problems(sorted(statuses))},
        }
        if self.public:
            found["security"] = []
        if self.takes:
            content = {"schema": ref(self.takes.__name__), "example": example_of(self.takes)}
            found["requestBody"] = {"required": True, "content": {JSON: content}}
        if self.files and self.method == "post":
            found["requestBody"] = {"required": True, "content": file}
        parameters = [("path", name) for name in _IN_PATH.findall(self.path)]
        parameters += [("query", name) for name in self.options]
        if parameters:
            found["parameters"] = [
                {"in": place, "name": name, "required": place == "path", "schema": {"type": "string"}}
                for place, name in parameters
            ]
        if self.speaks:
            wanted = {"type": "string", "enum": list(Language), "default": Language.ENGLISH}
            found["parameters"].append({"in": "query", "name": "language", "schema": wanted})
        return found


_OPERATIONS = (
    _Operation(
        name="signIn", tag="sessions", summary="Sign in (IDN-08).", path="/sessions", public=True,
        takes=access.SignIn, status=201, gives=edge.SessionOpened, meaning="You are signed in.",
    ),
    _Operation(
        name="signOut", tag="sessions", summary="Sign out: the token is worth nothing from now on.",
        method="delete", path="/sessions/current", status=204, meaning="You are signed out.",
    ),
    _Operation(
        name="getMe", tag="sessions", summary="Who you are, what you may do, and until when (IDN-05, IDN-08).",
        method="get", path="/me", status=200, gives=edge.Me,
    ),
    _Operation(
        name="enrol", tag="access", summary="Sign in for the first time: choose a user ID and a password (IDN-02).",
        path="/enrolment", public=True, takes=access.Enrolment, status=201, gives=access.Enrolled,
    ),
    _Operation(
        name="askForPasswordReset", tag="access", summary="Have a link to choose a new password mailed (IDN-03).",
        path="/password-reset", public=True, proves=False, takes=access.PasswordForgotten, status=202,
        gives=access.MailOnItsWay,
    ),
    _Operation(
        name="resetPassword", tag="access", summary="Choose a new password with the mailed link; every session ends (IDN-03).",
        path="/password-reset/confirm", public=True, takes=access.PasswordReset, status=204,
        meaning="The password is changed.",
    ),
    _Operation(
        name="listOwnSessions", tag="access", summary="Where you are signed in (IDN-08).",
        method="get", path="/me/sessions", status=200, gives=access.OwnSessions,
    ),
    _Operation(
        name="endOtherSessions", tag="access", summary="End all your sessions but this one (IDN-08).",
        method="delete", path="/me/sessions", status=204, meaning="They are over.",
    ),
    _Operation(
        name="endOwnSession", tag="access", summary="End one of your sessions (IDN-08).",
        method="delete", path="/me/sessions/{session_id}", status=204, meaning="It is over, if it was yours.",
    ),
    _Operation(
        name="changeOwnPassword", tag="access", summary="Choose a new password; your other sessions end.",
        path="/me/password", takes=access.PasswordChange, status=204, meaning="The password is changed.",
    ),
    _Operation(
        name="getOwnSecondFactor", tag="access", summary="Whether you have a second factor.",
        method="get", path="/me/second-factor", status=200, gives=access.SecondFactorState,
    ),
    _Operation(
        name="offerSecondFactor", tag="access", summary="Get a secret for your authenticator; it is not in use yet.",
        path="/me/second-factor", status=200, gives=access.SecondFactorOffered,
    ),
    _Operation(
        name="confirmSecondFactor", tag="access", summary="Take the second factor into use.",
        path="/me/second-factor/confirm", takes=access.OneTimePassword, status=200, gives=access.RecoveryCodes,
    ),
    _Operation(
        name="renewRecoveryCodes", tag="access", summary="Get new recovery codes; those before are worth nothing then.",
        path="/me/second-factor/recovery-codes", takes=access.OneTimePassword, status=200,
        gives=access.RecoveryCodes,
    ),
    _Operation(
        name="removeOwnSecondFactor", tag="access", summary="Do without the second factor, if your company lets you.",
        path="/me/second-factor/remove", takes=access.OneTimePassword, status=204, meaning="It is removed.",
    ),
    _Operation(
        name="uploadBulk", tag="bulk", path="/bulk/{kind}", status=201, gives=edge.BulkUploaded, files=(CSV, XLSX),
        refusals=(403, 404, 411), summary="Upload a file and have each row tried out: a dry run (Part 2 no. 8).",
    ),
    _Operation(
        name="getBulkResult", tag="bulk", method="get", path="/bulk/{bulk_id}/result", status=200, files=(CSV,),
        refusals=(403, 404, 422), summary="What became of each row, as a file (Part 2 no. 8).",
        meaning="A row for each row of the uploaded file.",
    ),
    *(
        _Operation(
            name=f"getStatementAs{form.capitalize()}", tag="statements", method="get", status=200,
            path=f"/statements/{{statement_id}}.{form}", files=(form.media_type,), refusals=(403, 404, 422), speaks=True,
            summary=f"A statement as {form.upper()}, to print, to keep or to send out (STM-07).",
            meaning="The statement as it was at the closing.",
        )
        for form in PaperForm
    ),
    _Operation(
        name="uploadImport", tag="imports", path="/imports/{layout}", status=201, gives=edge.ImportUploaded,
        files=("application/octet-stream",), options=("file_name", "control_account", "mended"),
        refusals=(403, 404, 411), summary="Upload a file of transactions or payments and have every row checked (Part 2 no. 17).",
    ),
    _Operation(
        name="getRefusedRows", tag="imports", method="get", path="/imports/{import_id}/refused", status=200, files=(CSV,),
        refusals=(403, 404, 422), summary="The refused rows of a file, to be mended and uploaded again (Part 2 no. 17).",
        meaning="Line and reason of each row, and its values by the columns of the layout.",
    ),
    _Operation(
        name="getExportFile", tag="statements", method="get", path="/exports/{export_id}/file", status=200,
        files=("text/csv", "text/plain"), refusals=(403, 404, 422),
        summary="The file of an export, the same to the byte each time (STM-06).",
        meaning="The transactions as the layout writes them, in its encoding.",
    ),
)  # fmt: skip
TAKEN = frozenset(operation.takes.__name__ for operation in _OPERATIONS if operation.takes)


def add_own_paths(specification: APISpec) -> None:
    """Add the routes that are no contract, with what they take and give."""
    given = [shape for one in _OPERATIONS for shape in (one.takes, one.gives) if shape]
    for shape in (*given, edge.Progress):
        if shape.__name__ not in specification.components.schemas:
            specification.components.schema(shape.__name__, schema=schema_of(shape))
    for operation in _OPERATIONS:
        specification.path(path=operation.path, operations={operation.method: operation.described()})


def add_progress(specification: APISpec) -> None:
    """Add the stream of one request's progress."""
    request = next(
        contract for contract in catalogue.reads("tracking") if contract.name == "tracking.get-request"
    )
    stream = {"text/event-stream": {"schema": {"type": "string"}, "x-event-data": ref("Progress")}}
    described = {
        "operationId": "watchRequest",
        "tags": [request.owner],
        "summary": "Follow one request as server-sent events, until it is settled (TRK-03).",
        "x-function": request.function,
        "parameters": path_parameters(request),
        "responses": {
            "200": {
                "description": "An event named `status` for each change; its data is a `Progress` in JSON.",
                "content": stream,
            },
            **problems((401, 403, 404, 422, 429, 503)),
        },
    }
    specification.path(path=f"{request.route}/events", operations={"get": described})
