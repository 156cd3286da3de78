"""What docker-compose.yml says, without starting anything: no service is forgotten, none can read another's secrets."""

from typing import Any

import pytest
import yaml

from deploy.registry import find_services
from tests.integration.compose.stack import FILE, ONCE, SERVERS

DOCUMENT = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
OURS = sorted(set(SERVICES) - SERVERS)

# Loading demonstration accounts takes the owner's login and the keys of the cards.
_ALSO_READ = {("demonstration", "operator"), ("demonstration", "accounts"), ("migrate", "operator")}


def mounted(service: str) -> dict[str, tuple[str, str]]:
    """Volumes and files by name, each with where and how it is mounted."""
    each = [mount.split(":") for mount in SERVICES[service].get("volumes", [])]
    return {name: (target, *rest)[:2] if rest else (target, "rw") for name, target, *rest in each}


def test_those_that_answer_have_a_web_and_those_that_consume_a_worker() -> None:
    webs = {
        service["command"][1] for service in SERVICES.values() if service.get("command", [])[:1] == ["serve"]
    }
    workers = {
        service["command"][1] for service in SERVICES.values() if service.get("command", [])[:1] == ["work"]
    }
    assert webs == {"gateway", *(name for name, service in find_services().items() if service.answers)}
    assert workers == {name for name, service in find_services().items() if service.consumes}


@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"provision"}))
def test_a_container_reads_its_own_secrets_alone_and_changes_none(service: str) -> None:
    secret = set(mounted("provision"))
    holder = service.removesuffix("-worker")
    for volume in secret & set(mounted(service)):
        assert volume == holder or (service, volume) in _ALSO_READ
        assert mounted(service)[volume][1] == "ro"


def test_secrets_are_made_in_every_volume_that_somebody_reads() -> None:
    made = mounted("provision")
    assert {volume: place[0] for volume, place in made.items()} == {name: f"/secrets/{name}" for name in made}
    assert set(made) == {"vault", "operator", *SERVERS, "gateway", *find_services()}
    assert set(DOCUMENT["volumes"]) == {*made, "rabbitmq-data", "postgres-data", "mail-data"}


@pytest.mark.parametrize("service", OURS)
def test_our_containers_may_do_nothing_that_they_need_not(service: str) -> None:
    declared = SERVICES[service]
    assert declared["user"] == "10001:10001"
    assert declared["read_only"] is True
    assert declared["cap_drop"] == ["ALL"]
    assert declared["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & set(declared)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_what_runs_for_ever_comes_back_and_says_how_it_is(service: str) -> None:
    declared = SERVICES[service]
    if service in ONCE:
        assert "restart" not in declared
    else:
        assert declared["restart"] == "unless-stopped"
        assert declared["healthcheck"]["test"]


def test_only_the_gateway_is_published_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:${CARDWORK_PUBLISHED_PORT:-8000}:8080"]}


def test_only_the_gateways_network_and_that_of_mails_lead_outside() -> None:
    open_ones = {
        name for name, network in DOCUMENT["networks"].items() if not (network or {}).get("internal")
    }
    reached = {
        network: {name for name, service in SERVICES.items() if network in service.get("networks", [])}
        for network in open_ones
    }
    assert reached == {"outside": {"gateway"}, "mail": {"notifications-worker"}}
    assert SERVICES["provision"]["network_mode"] == "none"
