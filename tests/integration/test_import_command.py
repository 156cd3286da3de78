"""`cardwork import`: what is said of a file, that it is posted once, and how refused rows come in after all."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.cli import cardwork

HEAD = "transaction_id,transacted_on,amount,currency\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where an installation of one process keeps its data."""
    monkeypatch.setenv("CARDWORK_DATA_DIRECTORY", str(tmp_path / "data"))
    monkeypatch.setenv("CARDWORK_LAYOUTS_DIRECTORY", str(tmp_path / "layouts"))
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(cardwork, ["import", *map(str, words)])


def test_a_file_is_checked_posted_once_and_mended(folder: Path) -> None:
    file, refused = folder / "march.csv", folder / "refused.csv"
    file.write_text(f"{HEAD}1,2026-02-01,5,EUR\n2,2026-02-30,7,EUR\n")

    checked = run("transactions", file, "--layout", "csv", "--check")
    assert checked.exit_code == 0, checked.output
    assert "2 rows, 1 refused" in checked.output
    assert "line 3,transacted_on: “2026-02-30” is no date" in checked.output
    assert "Nothing is posted" in checked.output

    held = run("transactions", file, "--layout", "csv", "--refused", refused)
    assert held.exit_code == 1
    assert "--skip-refused" in held.output
    posted = run("transactions", file, "--layout", "csv", "--skip-refused")
    assert posted.exit_code == 0, posted.output
    assert "1 posted, of these 1 in suspense; 0 seen before, 1 refused" in posted.output

    again = run("transactions", file, "--layout", "csv", "--skip-refused")
    assert again.exit_code != 0
    assert "imported before" in str(again.exception)

    refused.write_text(refused.read_text().replace("2026-02-30", "2026-02-28"))
    mended = run("transactions", refused, "--layout", "csv", "--mended")
    assert "1 posted" in mended.output


def test_a_wrong_layout_and_a_wrong_kind_of_file_are_told(folder: Path) -> None:
    file, layout = folder / "march.csv", folder / "mine.toml"
    file.write_text(HEAD)
    layout.write_text('[file]\nform = "excel"\n')
    wrong = run("transactions", file, "--layout", layout)
    assert wrong.exit_code == 1
    assert "file.form is “excel”" in wrong.output
    assert "are payments, not transactions" in run("transactions", file, "--layout", "camt053").output
    assert "vcf4" in run("layouts").output
