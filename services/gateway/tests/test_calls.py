"""Over HTTP or within the process, a service gets the same request and the gateway the same answer."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask, Response, request
from werkzeug.serving import make_server

from deploy.keys import make_keys
from services.gateway.calls import Call, NoAnswer, OverHttp, WithinProcess
from services.gateway.upstream import GATEWAY, Assertions, Upstream
from shared.actor import Signer
from shared.clock import utc_now
from shared.testing.servers import free_port

begun, told = threading.Event(), threading.Event()


def _app() -> Flask:
    app = Flask("echo", static_folder=None)

    @app.route("/things/<path:name>", methods=["GET", "POST", "DELETE"])
    def echo(name: str) -> Response:
        parts = [request.method, name, str(request.args.to_dict(flat=False)), request.get_data(as_text=True)]
        parts += [request.content_type or "none", request.headers["X-Request-Id"]]
        return Response("|".join(parts), 418, {"Retry-After": "7"})

    @app.post("/slow")
    def slow() -> Response:
        begun.set()
        assert told.wait(60)
        return Response("made")

    @app.get("/elsewhere")
    def elsewhere() -> Response:
        return Response(status=302, headers={"Location": "/things/x"})

    return app


@contextmanager
def _serving() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, _app(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture(params=["http", "process"])
def call(request: pytest.FixtureRequest) -> Iterator[Call]:
    if request.param == "process":
        yield WithinProcess(_app(), "echo")
        return
    with _serving() as url:
        yield OverHttp(url, connections=2, timeout_seconds=5)


def test_request_and_answer_arrive_whole(call: Call) -> None:
    """Quoted paths, repeated criteria, bodies, headers, status."""
    headers = {"X-Request-Id": "abc", "Content-Type": "application/json"}
    answer = call("POST", "/things/caf%C3%A9%2F1?a=1&a=2&b=%26", headers, '{"é": 1}'.encode())
    expected = "POST|café/1|{'a': ['1', '2'], 'b': ['&']}|{\"é\": 1}|application/json|abc"
    assert (answer.status, answer.body.decode(), answer.headers["retry-after"]) == (418, expected, "7")


def test_a_request_without_a_body(call: Call) -> None:
    answer = call("DELETE", "/things/x", {"X-Request-Id": "abc"}, b"")
    assert answer.body.decode() == "DELETE|x|{}||none|abc"


def test_a_redirection_is_an_answer_like_any_other(call: Call) -> None:
    assert call("GET", "/elsewhere", {}, b"").status == 302


def test_a_service_may_stand_behind_a_path() -> None:
    with _serving() as url:
        call = OverHttp(f"{url}/things/", connections=1, timeout_seconds=5)
        assert call("GET", "/x", {"X-Request-Id": "abc"}, b"").body.decode() == "GET|x|{}||none|abc"


def test_a_service_that_is_away_gives_no_answer() -> None:
    call = OverHttp(f"http://127.0.0.1:{free_port()}", connections=2, timeout_seconds=1)
    with pytest.raises(NoAnswer):
        call("GET", "/things/x", {}, b"")


def test_a_file_that_is_long_in_the_making_is_waited_for() -> None:
    """A statement of thousands of lines takes longer than a service may take to answer anything else (STM-07)."""
    begun.clear()
    told.clear()
    with _serving() as url:
        assertions = Assertions(Signer(make_keys()["assertion_private_key"]), utc_now)
        quick = OverHttp(url, connections=2, timeout_seconds=1)
        waiting = ThreadPoolExecutor(1).submit(
            Upstream("statements", quick, assertions).fetch, "/slow", {"form": "pdf"}, GATEWAY
        )
        assert begun.wait(60)
        with pytest.raises(NoAnswer):  # so long that anything else would be given up
            quick("POST", "/slow", {}, b"{}")
        told.set()
        assert waiting.result(60) == b"made"
