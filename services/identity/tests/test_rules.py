import ast
from datetime import timedelta
from pathlib import Path

import pytest

import services
import shared
from services.identity.rules import ROLES, functions_of, pause_after
from shared.actor import Party
from shared.contracts import load_all
from shared.contracts.functions import functions
from shared.errors import Rejected


def functions_in_use() -> set[str]:
    load_all()
    return set(functions())


def test_every_function_belongs_to_a_role_or_to_holders_alone() -> None:
    """IDN-06: what only a holder does, with the own card account, is no grant."""
    for function in functions_in_use() - {name for role in ROLES.values() for name in role.functions}:
        assert all(contract.holder for contract in functions()[function]), function


def test_no_role_has_a_function_that_no_contract_asks_for() -> None:
    for name, role in ROLES.items():
        assert role.functions - functions_in_use() == set(), name


def test_every_role_of_the_requirements_is_there() -> None:
    """IDN-06."""
    assert set(ROLES) == {
        "programme_manager",
        "programme_administrator",
        "principal_programme_administrator",
        "alternate_programme_administrator",
        "cardholder",
        "applicant",
        "application_approver",
        "identity_voucher",
        "issuer_help_desk",
        "issuer_operator",
    }


def test_only_the_issuer_opens_anything() -> None:
    opening = {function for function in functions_in_use() if function.endswith(".open")}
    assert opening
    for role in ROLES.values():
        assert role.party is Party.ISSUER or not role.functions & opening


@pytest.mark.parametrize(
    ("role", "party"),
    [("emperor", Party.CLIENT), ("issuer_operator", Party.CLIENT), ("cardholder", Party.ISSUER)],
)
def test_a_role_that_the_party_does_not_have_is_refused(role: str, party: Party) -> None:
    with pytest.raises(Rejected) as refusal:
        functions_of(role, party)
    assert (refusal.value.code, refusal.value.field) == ("unknown_role", "role")


def test_no_code_decides_by_the_name_of_a_role() -> None:
    """IDN-06: what is checked are functions."""
    offences = []
    for package in (services, shared):
        for file in Path(package.__path__[0]).rglob("*.py"):
            if "tests" not in file.parts and file.name != "rules.py":
                tree = ast.parse(file.read_text())
                decisions = [node for node in ast.walk(tree) if isinstance(node, ast.Compare | ast.Match)]
                offences += [f"{file}:{node.lineno}" for node in decisions if _mentions_a_role(node)]
    assert offences == []


def _mentions_a_role(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr == "role" for part in ast.walk(node))


def test_pauses_double_and_never_last_for_good() -> None:
    seconds = [pause_after(failures).total_seconds() for failures in range(15)]
    assert seconds == [0] * 5 + [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert pause_after(10**9) == timedelta(minutes=15)
