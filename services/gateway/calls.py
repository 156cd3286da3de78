"""The two ways in which the gateway calls a service: over HTTP and, where they share a process, straight into its app."""

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

import urllib3

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class NoAnswer(Exception):
    """The service could not be reached, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


# What a request brings along: bytes, or a file that is read as it is sent, whose Content-Length is among the headers.
Body = bytes | IO[bytes]
# Takes method, target (the path, quoted, with the query), headers and body; raises NoAnswer.
Call = Callable[[str, str, Mapping[str, str], Body], Answer]

_FILE_SECONDS = 120  # a file is looked through while it comes, or made before it goes


class OverHttp:
    """Calls over pooled connections; safe among threads."""

    def __init__(self, url: str, *, connections: int, timeout_seconds: int) -> None:
        self._prefix = urlsplit(url).path.rstrip("/")  # a service may stand behind a path of a proxy
        self._patience = timeout_seconds
        self._pool = urllib3.connection_from_url(
            url, maxsize=connections, block=True, timeout=urllib3.Timeout(timeout_seconds), retries=False
        )

    def __call__(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> Answer:
        """Return the answer; raises NoAnswer."""
        patience = self._patience if isinstance(body, bytes) else _FILE_SECONDS
        try:
            answer = self._pool.urlopen(
                method, self._prefix + target, body, headers, redirect=False, timeout=patience,
                pool_timeout=self._patience,
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            raise NoAnswer(str(error)) from error
        return Answer(
            answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data
        )


class WithinProcess:
    """Calls a WSGI app in the caller's thread."""

    def __init__(self, app: "WSGIApplication", name: str) -> None:
        """``name`` is the host that the app believes to be called by."""
        self._app = app
        self._name = name

    def __call__(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> Answer:
        """Return the answer."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, given: list[tuple[str, str]], *_: Any) -> Any:
            started.append((status, given))
            return None

        chunks = self._app(self._environ(method, target, headers, body), start_response)
        try:
            content = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        status, given = started[-1]
        return Answer(int(status[:3]), {name.lower(): value for name, value in given}, content)

    def _environ(self, method: str, target: str, headers: Mapping[str, str], body: Body) -> dict[str, Any]:
        path, _, query = target.partition("?")
        named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        return {
            **named,
            "CONTENT_TYPE": named.get("HTTP_CONTENT_TYPE", ""),
            "CONTENT_LENGTH": str(len(body)) if isinstance(body, bytes) else headers["Content-Length"],
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),  # as WSGI wants it (PEP 3333)
            "QUERY_STRING": query,
            "SERVER_NAME": self._name,
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
