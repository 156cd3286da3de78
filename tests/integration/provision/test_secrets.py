"""Secrets are made once, and nobody is handed another's."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deploy.commands.provision import provision
from deploy.keys import KEYS
from deploy.provision.secrets import hand_out_secrets
from deploy.registry import find_services
from shared.actor import Actor, Party, Signer, Verifier
from shared.clock import utc_now
from shared.messaging.topology import Topology, topology_of
from shared.settings import Settings, read_settings

ALL_KNOWING = {"vault", "operator"}


@pytest.fixture
def topology() -> Topology:
    return topology_of(find_services().values())


@pytest.fixture
def folder(tmp_path: Path, topology: Topology) -> Path:
    hand_out_secrets(tmp_path, topology, find_services())
    return tmp_path


def vault_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(folder.joinpath("vault", "secrets.json").read_text())
    return content


def holders_of(folder: Path, secret: str) -> set[str]:
    """Every folder but those of the all-knowing in which a secret lies."""
    return {
        file.relative_to(folder).parts[0] for file in folder.rglob("*") if has(file, secret)
    } - ALL_KNOWING


def has(file: Path, secret: str) -> bool:
    # In JSON a key's line breaks are escaped.
    return file.is_file() and secret in file.read_text().replace("\\n", "\n")


def snapshot(folder: Path) -> dict[Path, tuple[str, int]]:
    return {file: (file.read_text(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


def settings_of(folder: Path, holder: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a process reads whose settings name every file of its folder."""
    known = {f"CARDWORK_{file.name.upper()}_FILE": str(file) for file in folder.joinpath(holder).iterdir()}
    for name in [name for name in os.environ if name.startswith("CARDWORK_")]:
        monkeypatch.delenv(name)
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    return read_settings()


def test_a_password_is_known_to_its_holder_alone(folder: Path) -> None:
    vault = vault_of(folder)
    for user, login in vault["broker"].items():
        assert holders_of(folder, login["password"]) == {user} - ALL_KNOWING
    for role, password in vault["database"].items():
        assert holders_of(folder, password) == ({role} if role in (*find_services(), "postgres") else set())


def test_a_key_is_known_to_those_who_need_it(folder: Path) -> None:
    keys = vault_of(folder)["keys"]
    assert set(keys) == set(KEYS)
    assert holders_of(folder, keys["assertion_public_key"]) == set(find_services())
    assert holders_of(folder, keys["assertion_private_key"]) == {"gateway"}
    assert holders_of(folder, keys["card_encryption_key"]) == {"accounts"}
    assert holders_of(folder, keys["card_lookup_key"]) == {"accounts", "statements"}
    assert holders_of(folder, keys["sealing_key"]) == {"gateway", "identity", "notifications"}


def test_nobody_else_can_read_a_process_secrets(folder: Path) -> None:
    readable = {file.relative_to(folder) for file in folder.rglob("*") if file.stat().st_mode & 0o077}
    # The servers' own users differ from image to image; their volumes are mounted nowhere else.
    servers = ("rabbitmq/definitions.json", "rabbitmq/rabbitmq.conf", "postgres/password")
    assert readable == set(map(Path, servers))


def test_the_broker_is_told_hashes(folder: Path) -> None:
    told = folder.joinpath("rabbitmq", "definitions.json").read_text()
    assert not [user for user, login in vault_of(folder)["broker"].items() if login["password"] in told]


@pytest.mark.parametrize("holder", [*find_services(), "gateway"])
def test_what_is_handed_out_is_what_a_process_asks_for(
    folder: Path, holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(folder, holder, monkeypatch)
    assert not settings.embedded
    if holder != "gateway":
        gateway = settings_of(folder, "gateway", monkeypatch)
        actor = Actor(user_id="u", party=Party.CLIENT)
        token = Signer(gateway.assertion_private_key or "").sign(actor, [holder], utc_now())
        verified = Verifier(settings.assertion_public_key or "", holder).verify(token, utc_now())
        assert verified.user_id == "u"


def test_handing_out_again_changes_nothing(folder: Path, topology: Topology) -> None:
    before = snapshot(folder)
    hand_out_secrets(folder, topology, find_services())
    assert snapshot(folder) == before


def test_a_new_service_gets_its_own_and_the_others_keep_theirs(tmp_path: Path, topology: Topology) -> None:
    hand_out_secrets(tmp_path, topology, ["accounts", "tracking"])
    before = snapshot(tmp_path)
    hand_out_secrets(tmp_path, topology, ["accounts", "tracking", "identity"])
    after = snapshot(tmp_path)
    changed = {file.relative_to(tmp_path) for file, seen in before.items() if after[file] != seen}
    assert changed == {Path("vault/secrets.json"), Path("operator/database_roles.json")}
    assert tmp_path.joinpath("identity", "database_url").exists()


def test_passwords_can_be_renewed_but_no_key_is_lost(folder: Path, topology: Topology) -> None:
    before = vault_of(folder)
    hand_out_secrets(folder, topology, find_services(), renew_passwords=True)
    after = vault_of(folder)
    assert after["keys"] == before["keys"]
    assert after["database"].pop("postgres") == before["database"].pop("postgres")
    assert after["broker"].keys() == before["broker"].keys()
    assert after["database"].keys() == before["database"].keys()
    assert not {str(v) for v in after["broker"].values()} & {str(v) for v in before["broker"].values()}
    assert not set(after["database"].values()) & set(before["database"].values())
    handed_out = folder.joinpath("accounts", "database_url").read_text()
    assert after["database"]["accounts"] in handed_out


def test_what_a_crash_left_half_written_is_written_again(folder: Path, topology: Topology) -> None:
    whole = folder.joinpath("accounts", "database_url")
    content = whole.read_text()
    whole.unlink()
    whole.with_suffix(".draft").write_text(content[:10])
    hand_out_secrets(folder, topology, find_services())
    assert whole.read_text() == content
    assert not list(folder.rglob("*.draft"))


def test_the_command_names_the_folder_that_it_cannot_write(tmp_path: Path) -> None:
    tmp_path.joinpath("vault").write_text("not a folder")
    done = CliRunner().invoke(provision, ["secrets", "--folder", str(tmp_path)])
    assert done.exit_code == 1
    assert str(tmp_path / "vault") in done.output


def test_the_command_knows_servers_elsewhere(tmp_path: Path) -> None:
    words = [
        "secrets",
        "--folder",
        str(tmp_path),
        "--database",
        "db.example:6432",
        "--broker",
        "mq.example:5673",
    ]
    done = CliRunner().invoke(provision, words)
    assert done.exit_code == 0, done.output
    assert "@db.example:6432/accounts" in tmp_path.joinpath("accounts", "database_url").read_text()
    assert "@mq.example:5673/" in tmp_path.joinpath("accounts", "broker_url").read_text()
