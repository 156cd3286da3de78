"""The file of an export goes out piece by piece: the gateway never holds more of it than one (STM-06)."""

from typing import Any

import pytest
from flask import Flask

from services.gateway.exports import export_routes
from shared.web.problems import answer_with_problems

ID = "exp_" + 26 * "0"
PIECES = {0: b"one,", 4: b"two,", 8: b"three"}


class Statements:
    """A statements service with one export; ``asked`` are the places of the pieces that were fetched."""

    def __init__(self, state: str) -> None:
        self.state = state
        self.asked: list[int] = []

    def get(self, path: str, criteria: Any, actor: Any) -> dict[str, Any]:
        assert path == f"/exports/{ID}"
        size = sum(map(len, PIECES.values()))
        return {
            "state": self.state,
            "bytes": size,
            "file_name": f"{ID}.csv",
            "media_type": "text/csv; charset=utf-8",
        }

    def fetch(self, path: str, body: dict[str, int], actor: Any) -> bytes:
        assert path == f"/exports/{ID}/piece"
        self.asked.append(body["begins_at"])
        return PIECES[body["begins_at"]]


class Open:
    """An entrance that lets everybody in; who gets in is another test's business."""

    def session(self) -> None:
        return None

    def visitor(self, _: Any) -> Any:
        return self

    actor = None

    def look_up(self, *_: Any) -> list[Any]:
        return []

    def check_function(self, *_: Any) -> None:
        pass

    def check_places(self, *_: Any) -> None:
        pass


def client(statements: Statements) -> Any:
    app = Flask("gateway")
    answer_with_problems(app)
    app.register_blueprint(export_routes(Open(), statements))  # type: ignore[arg-type]
    return app.test_client()


def test_each_piece_is_fetched_when_the_one_before_has_gone_out() -> None:
    statements = Statements("ready")
    answer = client(statements).get(f"/exports/{ID}/file")
    assert answer.headers["Content-Length"] == "13"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{ID}.csv"'
    going_out = answer.iter_encoded()
    assert next(going_out) == b"one,"
    assert statements.asked == [0]
    assert b"".join(going_out) == b"two,three"
    assert statements.asked == [0, 4, 8]


def test_the_file_of_a_cancelled_export_is_kept() -> None:
    assert client(Statements("cancelled")).get(f"/exports/{ID}/file").data == b"one,two,three"


@pytest.mark.parametrize("state", ["making", "failed"])
def test_there_is_no_file_before_it_is_ready(state: str) -> None:
    answer = client(Statements(state)).get(f"/exports/{ID}/file")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "export_not_ready")
