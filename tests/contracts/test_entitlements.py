"""Every command and every read, as every role, inside and outside the control accounts that were granted (IDN-05)."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from deploy.compose import Embedded
from deploy.demonstration import load_demonstration
from deploy.demonstration.structure import COMPANIES, number_at
from deploy.documents.examples import example_of
from deploy.documents.routes import PREFIX, method_and_path
from services.accounts.model import Bulk, CardAccount
from services.identity import demonstration as identity_of
from services.identity.model import Delegation, User
from services.identity.rules import ROLES
from services.statements.imports.layout_file import find_layout
from services.statements.imports.taking_in import take_in
from services.statements.ledger import post
from services.statements.model import export, statement
from services.statements.queries.billing import billed_accounts
from shared.actor import EVERYWHERE, Party
from shared.contracts import load_all
from shared.contracts.base import Contract, Kind, catalogue
from shared.contracts.bulk import BulkKind, BulkState
from shared.contracts.papers import PaperForm
from shared.contracts.schema import scopes_of
from shared.messaging.bus import CommandSender, Publication, Sent
from shared.messaging.dispatch import Dispatcher
from shared.service import Running
from shared.settings import Settings

load_all()
CONTRACTS = [*catalogue.commands(), *catalogue.reads()]
PASSWORD = "correct horse battery staple"
# What these name is the caller's, or not, as the service itself says and not the gateway: it answers a command later.
PAPERS = {f"/statements/{{statement_id}}.{form}" for form in PaperForm}
DECIDED_BY_THE_OWNER = {"tracking_number", "bulk_id"}
# What a holder may name: the own account, and what is of it.
HOLDERS_NAME = {"account_id", "account_ids", "statement_id"}
ROLE_IDS = sorted(ROLES)
each_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)


class Broker:
    """Takes every command and carries none out: what is tried here is who gets as far as this."""

    def __init__(self) -> None:
        self.published: list[Publication] = []

    def send(self, publication: Publication) -> Sent:
        self.published.append(publication)
        sent = Sent()
        sent.confirmed.set_result(None)
        sent.tracked.set_result({"tracking_number": "BCDFG-HJKM0", "replayed": False, "conflict": False})
        return sent

    def forget(self, command_id: str, sent: Sent) -> None:
        """Nothing is remembered."""

    def is_ready(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing is open."""


class Unhandled(Embedded):
    """The embedded shape without workers."""

    broker = Broker()

    def sender(self) -> CommandSender:
        return self.broker


@dataclass
class System:
    """A gateway, users of every role at two companies, and what there is at the first of them."""

    client: FlaskClient
    broker: Broker
    there: dict[str, Any]
    tokens: dict[str, str]

    def ask(self, contract: Contract, user: str) -> TestResponse:
        """Send a command or a read that names what is at the first company."""
        given = {
            **example_of(contract.cls),
            **{k: v for k, v in self.there.items() if k in _fields(contract)},
        }
        method, path = method_and_path(contract)
        path = PREFIX + path.format(**{name: given[name] for name in contract.path_fields})
        body = {name: value for name, value in given.items() if name not in contract.path_fields}
        headers = {"Authorization": f"Bearer {self.tokens[user]}"}
        if method == "POST":
            return self.client.post(path, json=body, headers=headers)
        named = {name: value for name, value in body.items() if name in scopes_of(contract.cls)}
        return self.client.get(path, query_string=named, headers=headers)


def _fields(contract: Contract) -> set[str]:
    return set(contract.cls.__dataclass_fields__)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder: Path = tmp_path_factory.mktemp("entitlements")
    generous = "100000 per second"
    shape = Unhandled(Settings(data_directory=folder, rate_limit=generous, sign_in_rate_limit=generous))
    for name in shape.services:
        shape.migrate(name)
    load_demonstration(shape, 60)
    here, elsewhere = number_at(1), number_at(2)
    (first, second, *_), (other, *_) = _accounts(shape, here), _accounts(shape, elsewhere)
    users = [
        _user(place, role, company, number, own)
        for place, company, number, own in (("here", 0, here, first), ("elsewhere", 1, elsewhere, other))
        for role in ROLES
    ]
    users.append(_user("beside", "cardholder", 0, here, second))
    identity_of.load(shape.database("identity"), users, shape.clock())
    client = shape.gateway_app().test_client()
    tokens = {}
    for user in users:
        credentials = {"user_id": user["user_id"], "password": PASSWORD}
        answer = client.post(f"{PREFIX}/sessions", json=credentials)
        tokens[user["user_id"]] = answer.get_json()["token"]
    yield System(client, shape.broker, _there(shape, here), tokens)
    shape.close()


def _accounts(shape: Embedded, master: str) -> Sequence[tuple[str, str]]:
    """Return the card accounts of a company, each with its control account."""
    with shape.database("accounts").read() as session:
        found = sa.select(CardAccount.id, CardAccount.control_account).order_by(CardAccount.id)
        below = found.where(CardAccount.control_account.startswith(master[:6]))
        return [(row.id, row.control_account) for row in session.execute(below)]


def _user(place: str, role: str, company: int, number: str, own: tuple[str, str]) -> dict[str, Any]:
    issuers = ROLES[role].party is Party.ISSUER
    return {
        "user_id": f"{place}.{role.replace('_', '-')}",
        "password": PASSWORD,
        "name": role,
        "party": ROLES[role].party,
        "company": None if issuers else COMPANIES[company].number,
        "role": role,
        "control_accounts": [EVERYWHERE if issuers else number],
        "own_accounts": dict([own]) if ROLES[role].holds else {},
        "email": "someone@company.example",
        "phone": None,
        "language": "en",
    }


def _there(shape: Embedded, master: str) -> dict[str, Any]:
    """Return what the fields of messages name: things of the first company."""
    now = shape.clock()
    with shape.database("identity").write() as session:
        users = session.scalars(sa.select(User.id).where(User.company == COMPANIES[0].number)).all()
        session.add(
            Delegation(
                id="dlg_" + "0" * 26, company=COMPANIES[0].number, lender=users[0], borrower=users[1],
                functions="accounts.cancel", control_accounts=master, place=master, starts_at=now,
                ends_at=now + timedelta(days=1), until_return=False,
            )
        )  # fmt: skip
    account, _ = _accounts(shape, master)[0]
    with shape.database("accounts").write() as session:
        session.add(
            Bulk(
                id="blk_" + "0" * 26, kind=BulkKind.CANCELLATIONS, state=BulkState.CHECKED, uploaded_by="somebody",
                uploaded_at=now, control_account=master,
            )
        )  # fmt: skip
    transaction, made = _billed(shape, account)
    return {
        "transaction_id": transaction,
        "transaction_ids": [transaction],
        "export_id": _exported(shape, account),
        "statement_id": made,
        "bulk_id": "blk_" + "0" * 26,
        "import_id": _imported(shape),
        "account_id": account,
        "account_ids": [account],
        "control_account": master,
        "control_accounts": [master],
        "number": master,
        "parent": master,
        "company": COMPANIES[0].number,
        "user": users[0],
        "delegation": "dlg_" + "0" * 26,
        "secret_phrase": "the keeper's parrot",
    }


def _imported(shape: Embedded) -> str:
    """Take a file of one transaction in, and return its import."""
    running = Running(database=shape.database("statements"), settings=shape.settings, clock=shape.clock)
    file = BytesIO(b"transaction_id,transacted_on,amount,currency\n1,2026-02-01,1,EUR\n")
    return take_in(file, find_layout("csv", Path("none")), running, uploaded_by="somebody")


def _exported(shape: Embedded, account: str) -> str:
    """Enter an export of an account's control account, whose file is empty."""
    day, id_ = shape.clock().date(), "exp_" + "0" * 26
    with shape.database("statements").write() as session:
        row = {
            "id": id_, "state": "ready", "control_account": billed_accounts(session, [account])[account].control_account,
            "layout": "csv", "layout_text": "", "posted_from": day, "posted_to": day, "coded_only": False,
            "file_name": f"{id_}.csv", "media_type": "text/csv; charset=utf-8", "transactions": 0, "totals": "[]", "bytes": 0,
            "command_id": "0" * 36, "asked_by": "somebody", "channel": "api", "asked_at": shape.clock(),
        }  # fmt: skip
        session.execute(sa.insert(export).values(row))
    return id_


def _billed(shape: Embedded, account: str) -> tuple[str, str]:
    """Spend with an account, close its cycle a month later, and return what came of it: a transaction and a statement."""
    later = shape.clock() + timedelta(days=40)
    worker = Dispatcher(
        shape.service("statements"), shape.database("statements"), settings=shape.settings,
        verifier=shape.verifier("statements"), clock=lambda: later, metrics=shape.metrics,
    )  # fmt: skip
    with shape.database("statements").write() as session:
        billed = billed_accounts(session, [account])[account]
        row = {
            "id": "txn_" + "0" * 26, "account_id": account, "control_account": billed.control_account,
            "ledger_account": billed.ledger_account, "counter": "purchases:EUR", "kind": "purchase", "amount": 100,
            "currency": "EUR", "transacted_on": later.date(), "posted_on": later.date(), "source": "test", "source_key": "1",
        }  # fmt: skip
        post(session, [row], later)
    worker.run_jobs()
    with shape.database("statements").read() as session:
        made = session.scalars(sa.select(statement.c.id).where(statement.c.account_id == account))
        return str(row["id"]), made.all()[0]


@pytest.mark.parametrize("role", ROLE_IDS)
@each_contract
def test_who_may_do_what(system: System, contract: Contract, role: str) -> None:
    """Without the function 403; with it, what lies inside is reached and what lies outside is not found.

    A holder reaches the own account by what is for holders, and nothing else: nor does another holder of the company.
    """
    named = set(scopes_of(contract.cls)) & set(system.there) - DECIDED_BY_THE_OWNER
    granted = contract.function is None or contract.function in ROLES[role].functions
    holds = contract.holder and ROLES[role].holds
    for place in ("here", "elsewhere", *(["beside"] if ROLES[role].holds else [])):
        before = len(system.broker.published)
        answer = system.ask(contract, f"{place}.{role.replace('_', '-')}")
        reached = len(system.broker.published) > before
        told = f"{contract.name} as {role} {place}: {answer.status_code} {answer.text[:300]}"
        if not (granted or holds):
            assert (answer.status_code, answer.get_json()["code"]) == (403, "function_not_granted"), told
            assert not reached, told
        elif (holds and named and not (place == "here" and named <= HOLDERS_NAME)) or (
            place == "elsewhere" and ROLES[role].party is not Party.ISSUER and named
        ):
            assert answer.status_code == 404, told
            assert not reached, told
        elif contract.kind is Kind.COMMAND:
            assert answer.status_code == 202, told
            assert reached, told
        else:
            assert answer.status_code == (404 if _is_hidden(contract, role, place) else 200), told


def _is_hidden(contract: Contract, role: str, place: str) -> bool:
    """Return whether a read finds nothing: there is no such request, and the file is another company's."""
    foreign = place == "elsewhere" and ROLES[role].party is not Party.ISSUER
    return "tracking_number" in contract.path_fields or (foreign and "bulk_id" in contract.path_fields)


@each_contract
def test_every_command_and_every_read_is_tried_with_what_is_there(system: System, contract: Contract) -> None:
    """A scoped field that the trial above leaves to an example would prove nothing."""
    assert set(scopes_of(contract.cls)) <= set(system.there), contract.name


def test_no_route_is_there_without_a_contract_or_a_session_of_ones_own(system: System) -> None:
    """What is no contract is a fixed, short list: signing in, what concerns the own user and session, and files."""
    declared = {
        (method, PREFIX + path) for method, path in (method_and_path(contract) for contract in CONTRACTS)
    }
    routes = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in system.client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    others = {path.removeprefix(PREFIX) for _, path in routes - declared}
    allowed = (
        "/sessions",
        "/me",
        "/enrolment",
        "/password-reset",
        "/docs",
        "/openapi.json",
        "/livez",
        "/readyz",
        "/metrics",
    )
    watched, files = "/tracking/{tracking_number}/events", {"/bulk/{kind}", "/bulk/{bulk_id}/result", *PAPERS}
    imports = {"/imports/{layout}", "/imports/{import_id}/refused"}
    exports = {"/exports/{export_id}/file"}
    assert {path for path in others if not path.startswith(allowed)} == {
        "/",
        watched,
        *files,
        *imports,
        *exports,
    }


@pytest.mark.parametrize("role", ROLE_IDS)
@pytest.mark.parametrize("kind", BulkKind)
def test_who_may_upload_a_file(system: System, kind: BulkKind, role: str) -> None:
    """Whoever may submit it, and nobody else; what is in the row is another's business."""
    submit = next(c for c in catalogue.commands("accounts") if (c.route or "").startswith(f"/bulk/{kind}/"))
    headers = {"Authorization": f"Bearer {system.tokens['here.' + role.replace('_', '-')]}"}
    answer = system.client.post(f"{PREFIX}/bulk/{kind}", data="x\n", content_type="text/csv", headers=headers)
    granted = submit.function in ROLES[role].functions
    assert answer.status_code == (422 if granted else 403), answer.text
    assert answer.get_json()["code"] == ("unknown_column" if granted else "function_not_granted")


@pytest.mark.parametrize("role", ROLE_IDS)
def test_who_may_import_a_file(system: System, role: str) -> None:
    """The issuer's operator alone, who may see its refused rows too."""
    headers = {"Authorization": f"Bearer {system.tokens['here.' + role.replace('_', '-')]}"}
    uploaded = system.client.post(f"{PREFIX}/imports/csv", data=b"x\n", headers=headers)
    refused = system.client.get(f"{PREFIX}/imports/{system.there['import_id']}/refused", headers=headers)
    granted = "transactions.import" in ROLES[role].functions
    assert (uploaded.status_code, refused.status_code) == ((422, 200) if granted else (403, 403)), (
        uploaded.text
    )
    assert uploaded.get_json()["code"] == ("column_missing" if granted else "function_not_granted")


def test_a_result_is_fetched_by_whoever_may_see_the_file(system: System) -> None:
    path = f"{PREFIX}/bulk/{system.there['bulk_id']}/result"
    for user, status in (
        ("here.programme-manager", 200),
        ("elsewhere.programme-manager", 404),
        ("here.cardholder", 403),
        ("here.issuer-help-desk", 200),
    ):
        answer = system.client.get(path, headers={"Authorization": f"Bearer {system.tokens[user]}"})
        assert answer.status_code == status, (user, answer.text)


def test_a_paper_is_fetched_by_whoever_may_see_the_statement(system: System) -> None:
    path = f"{PREFIX}/statements/{system.there['statement_id']}.pdf"
    for user, status in (
        ("here.programme-manager", 200),
        ("elsewhere.programme-manager", 404),
        ("here.cardholder", 200),
        ("beside.cardholder", 404),
        ("elsewhere.cardholder", 404),
        ("here.applicant", 403),
    ):
        answer = system.client.get(path, headers={"Authorization": f"Bearer {system.tokens[user]}"})
        assert answer.status_code == status, (user, answer.text)
        assert (answer.mimetype == "application/pdf") is (status == 200)


def test_a_watcher_needs_the_function_too(system: System) -> None:
    """Live progress is a read like any other; a holder watches what is the holder's own."""
    for user, status in (("here.applicant", 403), ("here.cardholder", 404)):
        headers = {"Authorization": f"Bearer {system.tokens[user]}"}
        answer = system.client.get(f"{PREFIX}/tracking/BCDFG-HJKM0/events", headers=headers)
        assert answer.status_code == status


def test_what_is_anothers_looks_to_a_holder_as_what_is_not_there(system: System) -> None:
    """To the letter: an account, a statement, its paper."""
    headers = {"Authorization": f"Bearer {system.tokens['beside.cardholder']}"}

    def told(path: str) -> Any:
        answer = system.client.get(f"{PREFIX}{path}", headers=headers)
        assert answer.status_code == 404
        return {k: v for k, v in answer.get_json().items() if k not in ("instance", "request_id")}

    for path, theirs in (
        ("/accounts/{}", system.there["account_id"]),
        ("/accounts/{}/statements", system.there["account_id"]),
        ("/statements/{}", system.there["statement_id"]),
        ("/statements/{}/transactions", system.there["statement_id"]),
        ("/statements/{}.pdf", system.there["statement_id"]),
    ):
        nothing = theirs[:4] + "0" * 26
        assert told(path.format(theirs)) == told(path.format(nothing)), path


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
@pytest.mark.parametrize(
    "criteria",
    ["", "company_number={company}", "status=active", "status=cancelled", "name_part=ann", "limit=500"],
)
def test_a_holder_finds_the_own_accounts_alone(system: System, criteria: str, accept: str) -> None:
    """IDN-06: whatever is asked, no other account comes, and nothing is counted but the own ones."""
    found: dict[str, list[str]] = {}
    for user in ("here.cardholder", "beside.cardholder", "here.programme-manager"):
        headers = {"Authorization": f"Bearer {system.tokens[user]}", "Accept": accept}
        path = f"{PREFIX}/accounts?{criteria.format(company=COMPANIES[0].number)}"
        answer = system.client.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        if accept == "application/json":
            found[user] = [row["account_id"] for row in answer.get_json()["data"]]
            assert answer.get_json()["total"] == len(found[user])
        else:
            found[user] = [row["account_id"] for row in csv.DictReader(io.StringIO(answer.text))]
    mine, beside, all_ = found.values()
    assert mine == [one for one in all_ if one == system.there["account_id"]]
    assert len(beside) <= 1
    assert not set(mine) & set(beside)
    assert set(beside) <= set(all_)


def test_a_holder_is_shown_no_figure_of_a_control_account(system: System) -> None:
    """Not even of the one that the own account hangs under."""
    headers = {"Authorization": f"Bearer {system.tokens['here.cardholder']}"}
    profile = system.client.get(f"{PREFIX}/accounts/{system.there['account_id']}", headers=headers).get_json()
    above = profile["control_account"]
    for path, status in (
        ("/dashboard", 403),
        ("/transactions", 403),
        ("/control-accounts", 403),
        (f"/control-accounts/{above}", 403),
        (f"/control-accounts/{above}/statements", 403),
        (f"/accounts?control_account={above}", 404),
        (f"/tracking?control_account={above}", 404),
        ("/tracking/overview", 403),
        ("/users", 403),
        ("/companies", 403),
    ):
        answer = system.client.get(f"{PREFIX}{path}", headers=headers)
        assert answer.status_code == status, (path, answer.text)


def test_an_export_is_fetched_by_whoever_may_export_there(system: System) -> None:
    path = f"{PREFIX}/exports/{system.there['export_id']}/file"
    for user, status in (
        ("here.programme-administrator", 200),
        ("elsewhere.programme-administrator", 404),
        ("here.programme-manager", 403),
    ):
        answer = system.client.get(path, headers={"Authorization": f"Bearer {system.tokens[user]}"})
        assert answer.status_code == status, (user, answer.text)
        assert (answer.mimetype == "text/csv") is (status == 200)
