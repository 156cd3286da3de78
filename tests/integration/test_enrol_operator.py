"""`cardwork enrol-operator` on a new installation: the person whom it enrols can sign in, and nobody else was enrolled."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.cli import cardwork
from deploy.compose import Embedded
from shared.errors import Rejected
from shared.settings import Settings

PHRASE = "a heron on one leg"
OLGA = ("--name", "Olga Operator", "--email", "olga@issuer.example")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a new installation keeps its files."""
    monkeypatch.setenv("CARDWORK_DATA_DIRECTORY", str(tmp_path))
    return tmp_path


def enrol(*arguments: str, phrase: str = PHRASE) -> Result:
    return CliRunner().invoke(cardwork, ["enrol-operator", *arguments], input=f"{phrase}\n")


def test_the_code_that_is_printed_lets_the_operator_in(folder: Path) -> None:
    printed = enrol(*OLGA)
    assert printed.exit_code == 0, printed.output
    (line,) = [line for line in printed.stdout.splitlines() if line.startswith("access code: ")]
    shape = Embedded(Settings(data_directory=folder))
    client = shape.gateway_app().test_client()
    chosen = {"user_id": "olga", "password": "an otter on its back"}
    body = {"access_code": line.removeprefix("access code: "), "secret_phrase": PHRASE, **chosen}
    assert client.post("/api/v1/enrolment", json=body).status_code == 201
    assert client.post("/api/v1/sessions", json=chosen).status_code == 201
    shape.close()


def test_a_second_one_has_to_be_asked_for(folder: Path) -> None:
    enrol(*OLGA)
    refused = enrol(*OLGA)
    assert isinstance(refused.exception, Rejected)
    assert "--another" in str(refused.exception)
    assert enrol(*OLGA, "--another").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "phrase", "said"),
    [
        (OLGA, "short", "secret_phrase"),
        (OLGA, "", "secret_phrase"),
        (("--name", "Olga", "--email", "olga"), PHRASE, "email"),
        (("--email", "olga@issuer.example"), PHRASE, "--name"),
    ],
)
def test_what_is_not_good_is_said_and_nobody_is_enrolled(
    folder: Path, arguments: tuple[str, ...], phrase: str, said: str
) -> None:
    refused = enrol(*arguments, phrase=phrase)
    assert refused.exit_code != 0
    assert said in refused.output
    assert enrol(*OLGA).exit_code == 0


def test_the_word_is_listed() -> None:
    assert "enrol-operator" in CliRunner().invoke(cardwork, ["--help"]).output
