"""Many accounts by one request: the file that is tried out, submitted and carried out row by row (ACC-11, Part 2 no. 8)."""

import io
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.keys import make_keys
from services.accounts.bulk import jobs
from services.accounts.bulk.files import rows_of
from services.accounts.bulk.item import carry_out
from services.accounts.bulk.kinds import KINDS
from services.accounts.bulk.upload import PORTION, take_in
from services.accounts.model import Card, CardAccount, ControlAccount, Hold
from services.accounts.service import service
from services.accounts.tests.test_bulk_files import workbook
from shared.actor import EVERYWHERE, Actor, Party, Signer, Verifier
from shared.contracts import load_all
from shared.contracts.accounts import (
    AccountingField,
    AccountStatus,
    CancelReason,
    UnsuspendAccount,
    WithdrawCancellation,
)
from shared.contracts.base import Message
from shared.contracts.bulk import (
    CSV,
    XLSX,
    AccountingOfAccount,
    BulkKind,
    CancelAccounts,
    ChangeAccountingOfAccounts,
    SubmitAccounting,
    SubmitCancellations,
    SubmitHolders,
    SubmitOpenings,
    SubmitSuspensions,
    SubmitTransfers,
)
from shared.contracts.cards import CardState
from shared.contracts.structure import Level
from shared.contracts.tracking import Decision, RequestDecided
from shared.database import Database, sqlite_url
from shared.errors import Rejected, Unavailable
from shared.ids import new_id, new_message_id
from shared.messaging.bus import Delivery, Processed
from shared.messaging.dispatch import Dispatcher
from shared.messaging.envelope import Envelope, decode, encode
from shared.migrations import upgrade
from shared.observability import Metrics
from shared.service import Running
from shared.settings import Settings
from shared.web.app import service_app

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MASTER, OURS, BESIDE, THEIRS = "100000000000001", "100000000000003", "100000000000004", "200000000000003"
KEYS: dict[str, Any] = make_keys()
FUNCTIONS = tuple(
    f"accounts.{what}" for what in ("accounting", "cancel", "holder", "suspend", "transfer", "view")
)
GATEWAY = Actor(user_id="gateway", party=Party.SYSTEM)
NOBODY = "acc_" + "0" * 26


def administrator(
    user_id: str = "pa",
    *,
    over: str = MASTER,
    approvals: Sequence[str] = (),
    on_behalf_of: str | None = None,
    functions: Sequence[str] = FUNCTIONS,
) -> Actor:
    """Return somebody of a company with functions over a control account."""
    return Actor(
        user_id=user_id, party=Party.CLIENT, company="C-1", on_behalf_of=on_behalf_of, approvals=frozenset(approvals),
        grants={function: frozenset({over}) for function in functions},
    )  # fmt: skip


PA = administrator()
ISSUER = Actor(
    user_id="op",
    party=Party.ISSUER,
    grants={name: frozenset({EVERYWHERE}) for name in (*FUNCTIONS, "accounts.open")},
)


@dataclass
class Accounts:
    """The service behind its queues and its web; ``now`` is the time that it thinks it is."""

    dispatcher: Dispatcher
    database: Database
    client: FlaskClient
    running: Running
    now: datetime = START
    outcomes: list[tuple[str, str, Any]] = field(default_factory=list)
    events: list[Envelope] = field(default_factory=list)

    def new_account(self, under: str = OURS, status: AccountStatus = AccountStatus.ACTIVE) -> str:
        id_ = new_id("acc")
        with self.database.write() as session:
            account = CardAccount(
                id=id_, control_account=under, product="corporate_gold", opened_at=self.now, version=0, status=status,
                payment_status="current",
            )  # fmt: skip
            account.rename("Ada", "Lovelace", "ADA LOVELACE")
            session.add(account)
            session.flush()
            session.add(
                Card(
                    id=new_id("crd"), account_id=id_, number_encrypted=b"", number_hash=id_, sequence=1, last_four="0000",
                    issued_on=self.now.date(), expires_on=self.now.date() + timedelta(days=999), state=CardState.ACTIVE,
                    since=self.now, live=True,
                )
            )  # fmt: skip
        return id_

    def status(self, account: str) -> AccountStatus:
        with self.database.read() as session:
            return session.get_one(CardAccount, account).status

    def changes(self, account: str) -> list[sa.Row[Any]]:
        table = service.metadata.tables["change"]
        with self.database.read() as session:
            return list(session.execute(sa.select(table).where(table.c.subject == account)))

    def headers(self, actor: Actor) -> dict[str, str]:
        token = Signer(KEYS["assertion_private_key"]).sign(actor, ["accounts"], self.now)
        return {"Authorization": f"Bearer {token}"}

    def upload(
        self, kind: str, text: str | bytes, actor: Actor = PA, media_type: str = "text/csv", status: int = 201
    ) -> Any:
        body = text.encode() if isinstance(text, str) else text
        answer = self.client.post(
            f"/bulk/{kind}", data=body, content_type=media_type, headers=self.headers(actor)
        )
        assert answer.status_code == status, answer.text
        return answer.get_json()

    def get(self, path: str, actor: Actor = PA, status: int = 200, **criteria: Any) -> Any:
        answer = self.client.get(path, query_string=criteria, headers=self.headers(actor))
        assert answer.status_code == status, answer.text
        return answer.get_json()

    def items(self, bulk_id: str, actor: Actor = PA, **criteria: Any) -> list[Any]:
        items: list[Any] = self.get(f"/bulk/{bulk_id}/items", actor, **criteria)["data"]
        return items

    def send(self, message: Message, actor: Actor = PA) -> str:
        """Send a command and return its id."""
        id_ = new_message_id()
        token = Signer(KEYS["assertion_private_key"]).sign(actor, ["accounts"], self.now)
        envelope = Envelope(
            id=id_, key=message.contract.key, source="gateway", time=self.now, data=message, correlation_id=id_,
            actor=actor.user_id, on_behalf_of=actor.on_behalf_of, assertion=token,
        )  # fmt: skip
        self._process("accounts.commands", envelope)
        return id_

    def decide(self, command_id: str, message: Message, decision: Decision) -> None:
        about = RequestDecided(
            request_id=command_id, request_type=message.contract.name, decision=decision, comment=None
        )
        id_ = new_message_id()
        envelope = Envelope(
            id=id_, key=about.contract.key, source="tracking", time=self.now, data=about, correlation_id=id_,
            actor="boss",
        )  # fmt: skip
        self._process("accounts.events", envelope)

    def work(self) -> None:
        """Let the jobs go round until nothing is left to do."""
        for _ in range(100):
            self.tick()
            with self.database.read() as session:
                if not session.scalar(sa.text("select count(*) from bulk where state = 'running'")):
                    return
        raise AssertionError("the files never end")

    def tick(self) -> None:
        """Let a second pass, and the jobs do what is due then."""
        self.now += timedelta(seconds=1)
        self._note(self.dispatcher.run_jobs().publications)

    def outcome(self, command_id: str) -> list[tuple[str, Any]]:
        return [(kind, data) for kind, of, data in self.outcomes if of == command_id]

    def _process(self, queue: str, envelope: Envelope) -> None:
        delivery = Delivery(queue=queue, body=encode(envelope), tag=1, message_id=envelope.id)
        self._note(self.dispatcher.process([delivery]).publications)

    def _note(self, publications: Sequence[Any]) -> None:
        for publication in publications:
            envelope = decode(publication.body)
            self.events.append(envelope)
            if envelope.key.startswith("outcomes."):
                data: Any = envelope.data
                kind = envelope.key.removeprefix("outcomes.command-").removesuffix(".v1")
                self.outcomes.append((kind, data["command_id"], data))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def accounts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    """The service with two companies; every test has card accounts of its own."""
    load_all()
    folder: Path = tmp_path_factory.mktemp("bulk")
    if request.param == "sqlite":
        yield from _accounts(sqlite_url(folder / "accounts.sqlite"))
    else:
        with request.getfixturevalue("postgres").new_database() as fresh:
            yield from _accounts(fresh.url)


def _accounts(url: str) -> Iterator[Accounts]:
    upgrade(service, url)
    database = Database(url)
    with database.write() as session:
        for number, path in (
            (MASTER, MASTER),
            (OURS, f"{MASTER}/{OURS}"),
            (BESIDE, f"{MASTER}/{BESIDE}"),
            (THEIRS, THEIRS),
        ):
            node = {"name": number, "company_name": "Company", "company_number": "C-1", "level": Level.BASIC}
            session.add(ControlAccount(number=number, path=path, **node))
    known = Settings(**KEYS, bulk_rows=2_000, retry_seconds=1, attempts=3)
    verifier, metrics = Verifier(KEYS["assertion_public_key"], "accounts"), Metrics()

    def clock() -> datetime:
        return made.now

    dispatcher = Dispatcher(
        service, database, settings=known, verifier=verifier, clock=clock, metrics=metrics
    )
    running = Running(database=database, settings=known, clock=clock)
    app = service_app(service, running, verifier=verifier, metrics=metrics, checks={})
    made = Accounts(dispatcher, database, app.test_client(), running)
    yield made
    database.close()


def cancellations(*accounts: str) -> str:
    return "account_id,reason\n" + "".join(f"{account},not_needed\n" for account in accounts)


# On screen


def test_twenty_accounts_are_cancelled_by_one_request(accounts: Accounts) -> None:
    """ACC-11: one reason for all, one number; what cannot be cancelled keeps no other from it."""
    some = [accounts.new_account() for _ in range(19)]
    gone = accounts.new_account(status=AccountStatus.CANCELLED)

    asked = accounts.send(CancelAccounts(account_ids=[*some, gone], reason=CancelReason.DORMANT))

    ((kind, said),) = accounts.outcome(asked)
    assert kind == "completed"
    assert (said["result"]["carried_out"], said["result"]["refused"]) == (19, 1)
    assert [item["account_id"] for item in said["result"]["items"]] == [*some, gone]
    assert said["result"]["items"][-1]["code"] == "account_cancelled"
    assert {accounts.status(account) for account in some} == {AccountStatus.CANCELLED}
    (change,) = [change for change in accounts.changes(some[0]) if change.field == "status"]
    assert (change.command_id, change.actor, change.command) == (asked, "pa", "accounts.cancel-accounts")
    assert accounts.changes(gone) == []
    told = [event.subject for event in accounts.events if event.correlation_id == asked]
    assert sorted(filter(None, told)) == sorted(some)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"account_ids": [NOBODY, NOBODY], "reason": CancelReason.FRAUD}, "named_twice"),
        ({"account_ids": [NOBODY], "reason": CancelReason.OTHER}, "comment_required"),
    ],
)
def test_a_list_that_is_wrong_as_a_whole_is_refused(
    accounts: Accounts, message: dict[str, Any], code: str
) -> None:
    asked = accounts.send(CancelAccounts(**message))
    ((kind, said),) = accounts.outcome(asked)
    assert (kind, said["code"]) == ("rejected", code)


def test_what_lies_outside_the_own_control_accounts_is_not_found_among_many(accounts: Accounts) -> None:
    """Defence in depth: the gateway has refused such a list already."""
    ours, theirs = accounts.new_account(), accounts.new_account(THEIRS)
    asked = accounts.send(CancelAccounts(account_ids=[theirs, ours], reason=CancelReason.FRAUD))
    ((_, said),) = accounts.outcome(asked)
    assert [item["code"] for item in said["result"]["items"]] == ["not_found", None]
    assert accounts.status(theirs) is AccountStatus.ACTIVE


@pytest.mark.parametrize("wanted", ["accounts.cancel-account", "accounts.cancel-accounts"])
def test_four_eyes_for_one_cancellation_are_four_eyes_for_many(accounts: Accounts, wanted: str) -> None:
    """Part 2 no. 6: nobody gets round a second person by asking for many."""
    account = accounts.new_account()
    message = CancelAccounts(account_ids=[account], reason=CancelReason.FRAUD)
    asked = accounts.send(message, administrator(approvals=[wanted]))
    ((kind, said),) = accounts.outcome(asked)
    assert (kind, said["status"], said["approver_function"]) == (
        "accepted",
        "awaiting_approval",
        "accounts.cancel",
    )
    assert accounts.status(account) is AccountStatus.ACTIVE

    accounts.decide(asked, message, Decision.APPROVE)

    assert accounts.status(account) is AccountStatus.CANCELLED
    assert [kind for kind, _ in accounts.outcome(asked)] == ["accepted", "completed"]


def test_accounting_fields_of_many_are_changed_to_one_value_or_to_their_own(accounts: Accounts) -> None:
    """ACC-17: the cost centre of all, the employee ID of each."""
    first, second, gone = (
        accounts.new_account(),
        accounts.new_account(),
        accounts.new_account(status=AccountStatus.CANCELLED),
    )
    asked = accounts.send(
        ChangeAccountingOfAccounts(
            account_ids=[first, second, gone],
            cost_centre="CC-1",
            clear=[AccountingField.EMPLOYEE_ID],
            each=[AccountingOfAccount(account_id=second, employee_id="E2", cost_centre="CC-2")],
        )
    )
    ((kind, said),) = accounts.outcome(asked)
    assert (kind, said["result"]["carried_out"], said["result"]["refused"]) == ("completed", 2, 1)
    assert said["result"]["items"][2]["code"] == "account_cancelled"
    with accounts.database.read() as session:
        found = [session.get_one(CardAccount, account) for account in (first, second)]
    assert [(one.employee_id, one.cost_centre) for one in found] == [(None, "CC-1"), ("E2", "CC-2")]
    assert {change.command_id for change in accounts.changes(second)} == {asked}


@pytest.mark.parametrize("each", [[NOBODY[:-1] + "1"], [NOBODY, NOBODY]])
def test_own_values_are_of_accounts_that_are_named_once(accounts: Accounts, each: list[str]) -> None:
    """What the gateway has not looked up as the caller's does not get in by the back door."""
    own = [AccountingOfAccount(account_id=account, cost_centre="CC-1") for account in each]
    asked = accounts.send(ChangeAccountingOfAccounts(account_ids=[NOBODY], each=own))
    ((kind, said),) = accounts.outcome(asked)
    assert (kind, said["code"], said["field"]) == ("rejected", "bad_each", "each")


# The dry run


def test_every_row_is_tried_out_and_nothing_is_changed(accounts: Accounts) -> None:
    """Part 2 no. 8: a finding per row; what is not the caller's own is unknown."""
    good, other = accounts.new_account(), accounts.new_account()
    gone, theirs = accounts.new_account(status=AccountStatus.CANCELLED), accounts.new_account(THEIRS)
    text = (
        "Account ID;Reason;Comment\r\n"
        f"{good};not_needed;\r\n"
        f"{gone};not_needed;\r\n"
        "\r\n"
        f"{theirs};not_needed;\r\n"
        f"{NOBODY};not_needed;\r\n"
        f"{other};tired_of_it;\r\n"
        f"{other};other;\r\n"
        f"{good};fraud;\r\n"
        ";fraud;\r\n"
        f"{other};fraud;;more\r\n"
        f'{other};other;"two\r\nlines"\r\n'
    )
    bulk = accounts.upload("cancellations", b"\xef\xbb\xbf" + text.encode())
    assert (bulk["state"], bulk["rows"], bulk["waiting"], bulk["refused"]) == ("checked", 10, 1, 9)
    found = {item["row"]: (item["code"], item["column"]) for item in accounts.items(bulk["bulk_id"])}
    assert found == {
        2: (None, None),
        3: ("account_cancelled", "account_id"),
        5: ("not_found", "account_id"),
        6: ("not_found", "account_id"),
        7: ("invalid_input", "reason"),
        8: ("comment_required", "comment"),
        9: ("duplicate_row", None),
        10: ("invalid_input", "account_id"),
        11: ("too_many_cells", None),
        12: ("invalid_input", "comment"),
    }
    assert accounts.status(good) is AccountStatus.ACTIVE
    assert accounts.changes(good) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "column_missing"),
        ("account_id,reason\n", "no_rows"),
        ("account_id\nx\n", "column_missing"),
        ("account_id,reason,colour\nx,fraud,red\n", "unknown_column"),
        ("account_id,reason,reason\nx,fraud,fraud\n", "column_named_twice"),
        ("account_id,reason\nx,fr\xe4ud\n".encode("latin-1"), "not_utf8"),
        ('account_id,reason\n"x"y,fraud\n', "not_csv"),
        ('account_id,reason\n"x,fraud\n', "not_csv"),
        ("account_id,reason\n" + "x" * 70_000, "line_too_long"),
        ("account_id,reason\n" + "x,fraud\n" * 2_001, "too_many_rows"),
    ],
)
def test_a_file_that_cannot_be_read_leaves_nothing(accounts: Accounts, text: str | bytes, code: str) -> None:
    before = accounts.get("/bulk")["data"]
    assert accounts.upload("cancellations", text, status=422)["code"] == code
    assert accounts.get("/bulk")["data"] == before


def test_what_is_no_file_of_ours_is_refused(accounts: Accounts) -> None:
    assert accounts.upload("cancellations", "{}", media_type="application/json", status=422)["code"] == (
        "unknown_format"
    )
    assert accounts.upload("holidays", "x", status=404)["code"] == "not_found"
    assert accounts.upload("openings", "x", status=403)["code"] == "function_not_granted"


def test_a_file_that_says_the_same_over_many_portions_is_found_out(accounts: Accounts) -> None:
    """A row is compared with all before it, not only with those that are in memory with it."""
    account = accounts.new_account()
    bulk = accounts.upload("cancellations", cancellations(*([account] * 450)))
    assert (bulk["waiting"], bulk["refused"]) == (1, 449)
    late = accounts.items(bulk["bulk_id"])[-1]
    assert (late["row"], late["code"]) == (451, "duplicate_row")
    assert late["message"].startswith("Row 2 ")


def test_a_workbook_is_as_good_as_a_csv_file(accounts: Accounts) -> None:
    account = accounts.new_account()
    cell = '<c t="inlineStr"><is><t>{}</t></is></c>'.format
    sheet = f"<row>{cell('Account ID')}{cell('Reason')}</row><row>{cell(account)}{cell('fraud')}</row>"
    bulk = accounts.upload("cancellations", workbook(sheet).read(), media_type=XLSX)
    assert (bulk["waiting"], bulk["refused"]) == (1, 0)
    assert [item["account_id"] for item in accounts.items(bulk["bulk_id"])] == [account]


# Who may do what with a file


def test_a_file_is_its_uploaders_and_of_those_who_may_see_all_of_it(accounts: Accounts) -> None:
    text = cancellations(accounts.new_account(OURS), accounts.new_account(BESIDE))
    both = administrator("both")
    clerk = Actor(
        user_id="clerk", party=Party.CLIENT, company="C-1",
        grants={name: frozenset({OURS, BESIDE}) for name in FUNCTIONS},
    )  # fmt: skip
    bulk_id = accounts.upload("cancellations", text, clerk)["bulk_id"]

    for actor, status in ((clerk, 200), (both, 200), (administrator("b", over=BESIDE), 404)):
        accounts.get(f"/bulk/{bulk_id}", actor, status)
        accounts.get(f"/bulk/{bulk_id}/items", actor, status)
        listed = [bulk["bulk_id"] for bulk in accounts.get("/bulk", actor)["data"]]
        assert (bulk_id in listed) is (status == 200)
    places = accounts.client.post(
        "/scopes", json={"bulk": [bulk_id, "blk_" + "0" * 26]}, headers=accounts.headers(GATEWAY)
    )
    assert places.get_json() == {"bulk": {bulk_id: [MASTER]}}

    asked = accounts.send(SubmitCancellations(bulk_id=bulk_id), administrator("b", over=BESIDE))
    ((kind, said),) = accounts.outcome(asked)
    assert (kind, said["code"]) == ("rejected", "not_found")
    accounts.send(SubmitCancellations(bulk_id=bulk_id), clerk)
    accounts.work()
    assert accounts.get(f"/bulk/{bulk_id}", both)["carried_out"] == 2


def test_the_rights_that_count_are_those_of_the_submission(accounts: Accounts) -> None:
    """Who submits another's file reaches no further than the own functions."""
    ours, beside = accounts.new_account(OURS), accounts.new_account(BESIDE)
    bulk_id = accounts.upload("cancellations", cancellations(ours, beside))["bulk_id"]
    narrow = administrator(over=OURS)  # the same user, of whom some was taken away since

    accounts.send(SubmitCancellations(bulk_id=bulk_id), narrow)
    accounts.work()

    assert [item["code"] for item in accounts.items(bulk_id)] == [None, "not_found"]
    assert accounts.status(beside) is AccountStatus.ACTIVE


def test_an_alternate_submits_for_a_colleague(accounts: Accounts) -> None:
    """IDN-07: both names stand in the history of every account."""
    account = accounts.new_account()
    alternate = administrator("alternate", on_behalf_of="pa", functions=["accounts.cancel"])
    bulk = accounts.upload("cancellations", cancellations(account), alternate)
    assert (bulk["uploaded_by"], bulk["on_behalf_of"]) == ("alternate", "pa")

    accounts.send(SubmitCancellations(bulk_id=bulk["bulk_id"]), alternate)
    accounts.work()

    assert {(change.actor, change.on_behalf_of) for change in accounts.changes(account)} == {
        ("alternate", "pa")
    }


# Submitting


@pytest.mark.parametrize("skip", [False, True])
def test_rows_with_findings_are_left_out_only_where_that_is_said(accounts: Accounts, skip: bool) -> None:
    account = accounts.new_account()
    bulk_id = accounts.upload("cancellations", cancellations(account, NOBODY))["bulk_id"]

    asked = accounts.send(SubmitCancellations(bulk_id=bulk_id, skip_findings=skip))
    accounts.work()

    if skip:
        (_, (kind, said)) = accounts.outcome(asked)
        assert kind == "completed"
        assert (said["result"]["carried_out"], said["result"]["refused"]) == (1, 1)
        assert said["result"]["items"] == f"/api/v1/bulk/{bulk_id}/items"
    else:
        ((kind, said),) = accounts.outcome(asked)
        assert (kind, said["code"], said["field"]) == ("rejected", "has_findings", "skip_findings")
        assert accounts.status(account) is AccountStatus.ACTIVE


def test_a_file_is_submitted_once_and_as_what_it_is(accounts: Accounts) -> None:
    bulk_id = accounts.upload("cancellations", cancellations(accounts.new_account()))["bulk_id"]
    hopeless = accounts.upload("cancellations", cancellations(NOBODY))["bulk_id"]
    refused = [
        accounts.send(SubmitSuspensions(bulk_id=bulk_id)),
        accounts.send(SubmitCancellations(bulk_id=hopeless, skip_findings=True)),
        accounts.send(SubmitCancellations(bulk_id="blk_" + "0" * 26)),
    ]
    accounts.send(SubmitCancellations(bulk_id=bulk_id))
    refused.append(accounts.send(SubmitCancellations(bulk_id=bulk_id)))
    accounts.work()
    refused.append(accounts.send(SubmitCancellations(bulk_id=bulk_id)))
    assert [said["code"] for asked in refused for _, said in accounts.outcome(asked)] == [
        "other_kind",
        "nothing_to_do",
        "not_found",
        "already_submitted",
        "already_submitted",
    ]


@pytest.mark.parametrize("wanted", ["accounts.cancel-account", "accounts.submit-cancellations"])
def test_a_second_person_approves_a_file(accounts: Accounts, wanted: str) -> None:
    account = accounts.new_account()
    bulk_id = accounts.upload("cancellations", cancellations(account))["bulk_id"]
    message = SubmitCancellations(bulk_id=bulk_id)
    asked = accounts.send(message, administrator(approvals=[wanted]))
    accounts.work()
    assert accounts.status(account) is AccountStatus.ACTIVE

    accounts.decide(asked, message, Decision.APPROVE)
    accounts.work()

    assert accounts.status(account) is AccountStatus.CANCELLED
    assert [kind for kind, _ in accounts.outcome(asked)] == ["accepted", "accepted", "completed"]


# Carrying out


def test_a_file_is_one_request_and_each_row_a_change_of_its_own(accounts: Accounts) -> None:
    some = [accounts.new_account() for _ in range(30)]
    bulk_id = accounts.upload("cancellations", cancellations(*some))["bulk_id"]
    asked = accounts.send(SubmitCancellations(bulk_id=bulk_id))
    accounts.work()

    told = [event for event in accounts.events if event.correlation_id == asked]
    assert [kind for kind, _ in accounts.outcome(asked)] == ["accepted", "completed"]
    cancelled = [event.subject for event in told if event.key == "accounts.account-cancelled.v1"]
    assert sorted(map(str, cancelled)) == sorted(some)
    for account in some:
        (change,) = [change for change in accounts.changes(account) if change.field == "status"]
        assert (change.command_id, change.actor) == (asked, "pa")
    found = accounts.get(f"/bulk/{bulk_id}")
    assert (found["state"], found["carried_out"], found["command_id"]) == ("finished", 30, asked)
    assert accounts.get("/bulk", command_id=asked)["data"] == [found]
    refused = accounts.items(bulk_id, outcome="refused")
    assert refused == []


def test_accounts_are_opened_by_a_file(accounts: Accounts) -> None:
    text = (
        "control_account,product,first_name,last_name\n"
        f"{OURS},corporate_gold,Ada,Lovelace\n"
        f"{OURS},corporate_gold,Grace,Hopper\n"
        f"{OURS},corporate_gold,Ada,Lovelace\n"
        f"{'9' * 15},corporate_gold,Alan,Turing\n"
    )
    bulk_id = accounts.upload("openings", text, ISSUER)["bulk_id"]
    asked = accounts.send(SubmitOpenings(bulk_id=bulk_id, skip_findings=True), ISSUER)
    accounts.work()
    accounts.tick()  # where the issuer's processor makes the cards, it has by now
    (ada, grace, again, alan) = accounts.items(bulk_id, ISSUER)
    assert [row["outcome"] for row in (ada, grace)] == ["carried_out", "carried_out"]
    assert accounts.status(ada["account_id"]) is AccountStatus.ACTIVE
    assert (again["code"], alan["code"]) == ("duplicate_row", "not_found")
    result = accounts.outcome(asked)[-1][1]["result"]
    assert (result["carried_out"] + result["accepted"], result["refused"]) == (2, 2)


@pytest.mark.parametrize(
    ("kind", "submission", "columns", "row", "refused", "field", "value"),
    [
        ("transfers", SubmitTransfers, "control_account", BESIDE, OURS, "control_account", BESIDE),
        ("holders", SubmitHolders, "city;business_phone", "Lyon;+33 4 72 00 00 00", ";12", "city", "Lyon"),
        ("accounting", SubmitAccounting, "cost_centre;clear", "CC-9;employee_id", ";", "cost_centre", "CC-9"),
    ],
)
def test_accounts_are_changed_by_a_file(
    accounts: Accounts,
    kind: str,
    submission: Any,
    columns: str,
    row: str,
    refused: str,
    field: str,
    value: str,
) -> None:
    """Transfers, holders' data and accounting fields, by the rules of the single commands."""
    good, bad = accounts.new_account(), accounts.new_account()
    text = f"account_id;{columns}\n{good};{row}\n{bad};{refused}\n"
    bulk = accounts.upload(kind, text)
    assert (bulk["waiting"], bulk["refused"]) == (1, 1), accounts.items(bulk["bulk_id"])

    accounts.send(submission(bulk_id=bulk["bulk_id"], skip_findings=True))
    accounts.work()

    assert [item["outcome"] for item in accounts.items(bulk["bulk_id"])] == ["carried_out", "refused"]
    with accounts.database.read() as session:
        assert getattr(session.get_one(CardAccount, good), field) == value
    assert accounts.changes(bad) == []


def test_what_takes_effect_later_is_accepted_and_no_second_outcome(accounts: Accounts) -> None:
    """A suspension from tomorrow on: the request is done today, and the history of the account tells the rest."""
    account = accounts.new_account()
    tomorrow = accounts.now + timedelta(days=1)
    text = f"account_id,effective_at\n{account},{tomorrow.isoformat()}\n"
    bulk_id = accounts.upload("suspensions", text)["bulk_id"]
    asked = accounts.send(SubmitSuspensions(bulk_id=bulk_id))
    accounts.work()
    assert [item["outcome"] for item in accounts.items(bulk_id)] == ["accepted"]

    accounts.now += timedelta(days=2)
    accounts.tick()

    assert accounts.status(account) is AccountStatus.SUSPENDED
    assert [item["outcome"] for item in accounts.items(bulk_id)] == ["carried_out"]
    assert [kind for kind, _ in accounts.outcome(asked)] == ["accepted", "completed"]
    (change,) = accounts.changes(account)
    assert (change.command_id, change.actor) == (asked, "pa")
    with accounts.database.read() as session:
        hold = session.scalars(sa.select(Hold).where(Hold.account_id == account)).one()
    assert hold.command_id == asked


def go_round(accounts: Accounts) -> None:
    for _ in range(100):
        accounts.tick()


def test_what_was_accepted_and_does_not_come_to_pass_is_refused_in_the_end(accounts: Accounts) -> None:
    """A suspension that is lifted before it begins: the row says so, and the request stays as it ended."""
    first, second = accounts.new_account(), accounts.new_account()
    tomorrow = (accounts.now + timedelta(days=1)).isoformat()
    text = f"account_id,effective_at\n{first},{tomorrow}\n{second},{tomorrow}\n"
    bulk_id = accounts.upload("suspensions", text)["bulk_id"]
    asked = accounts.send(SubmitSuspensions(bulk_id=bulk_id))
    accounts.work()

    accounts.send(UnsuspendAccount(account_id=first))

    assert [(item["outcome"], item["code"]) for item in accounts.items(bulk_id)] == [
        ("refused", "lifted"),
        ("accepted", None),
    ]
    assert [kind for kind, _ in accounts.outcome(asked)] == ["accepted", "completed"]


def test_a_cancellation_of_a_file_that_is_to_come_is_taken_back_by_its_account(accounts: Accounts) -> None:
    """ACC-12. The request has ended, so that it cannot be withdrawn: what is pending does not promise that it can."""
    first, second = accounts.new_account(), accounts.new_account()
    tomorrow = (accounts.now + timedelta(days=1)).isoformat()
    text = "account_id,reason,effective_at\n"
    text += "".join(f"{one},dormant,{tomorrow}\n" for one in (first, second))
    bulk_id = accounts.upload("cancellations", text)["bulk_id"]
    asked = accounts.send(SubmitCancellations(bulk_id=bulk_id))
    accounts.work()
    (pending,) = accounts.get(f"/accounts/{first}/pending")["data"]
    assert (pending["kind"], pending["command_id"], pending["withdrawable"]) == ("cancellation", asked, False)

    taken_back = accounts.send(WithdrawCancellation(account_id=first))

    assert [kind for kind, _ in accounts.outcome(taken_back)] == ["completed"]
    assert [item["outcome"] for item in accounts.items(bulk_id)] == ["withdrawn", "accepted"]
    assert accounts.get(f"/accounts/{first}/pending")["data"] == []
    assert [kind for kind, _ in accounts.outcome(asked)] == ["accepted", "completed"]


class Killed(BaseException):
    """The end of a worker, in the middle of what it does."""


@pytest.mark.parametrize("commits", range(1, 16, 3))
def test_whoever_is_killed_leaves_every_row_done_once_or_not_at_all(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch, commits: int
) -> None:
    """The worker dies just before its n-th commit; the next one goes on."""
    some = [accounts.new_account() for _ in range(5)]
    bulk_id = accounts.upload("cancellations", cancellations(*some))["bulk_id"]
    asked = accounts.send(SubmitCancellations(bulk_id=bulk_id))
    left = commits
    keep = accounts.dispatcher._keep

    def dying(*arguments: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        keep(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(accounts.dispatcher, "_keep", dying)
        with pytest.raises(Killed):
            go_round(accounts)
    accounts.work()

    found = accounts.get(f"/bulk/{bulk_id}")
    assert (found["state"], found["carried_out"]) == ("finished", 5)
    for account in some:
        assert len([change for change in accounts.changes(account) if change.field == "status"]) == 1
    with accounts.database.read() as session:
        outbox = service.metadata.tables["outbox"]
        sent = [decode(body) for body in session.scalars(sa.select(outbox.c.body))]
    own = Counter(envelope.key for envelope in sent if envelope.correlation_id == asked)
    assert own["accounts.account-cancelled.v1"] == 5
    assert own["outcomes.command-completed.v1"] == 1


def test_two_workers_do_no_row_twice(accounts: Accounts) -> None:
    """The second looks at the same rows, and finds them dealt with."""
    some = [accounts.new_account() for _ in range(5)]
    bulk_id = accounts.upload("cancellations", cancellations(*some))["bulk_id"]
    accounts.send(SubmitCancellations(bulk_id=bulk_id))
    accounts.work()
    before = [item["row"] for item in accounts.items(bulk_id)]  # what the second saw before the first began

    def transact() -> Any:
        return accounts.dispatcher._by_the_clock(Processed())

    assert [jobs._deal_with(bulk_id, number, transact) for number in before] == [False] * 5


def test_a_row_that_is_kept_from_its_lock_comes_again_and_fails_in_the_end(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row that cannot be carried out stops no other; one that is lucky at the next try is done."""
    unlucky, late, other = (accounts.new_account() for _ in range(3))
    bulk_id = accounts.upload("cancellations", cancellations(unlucky, late, other))["bulk_id"]
    asked = accounts.send(SubmitCancellations(bulk_id=bulk_id))
    tries: Counter[str] = Counter()

    def sometimes(message: Any, *arguments: Any) -> Any:
        tries[message.account_id] += 1
        if message.account_id == unlucky or (message.account_id == late and tries[late] == 1):
            raise Unavailable("another transaction holds what this one needs")
        return carry_out(message, *arguments)

    monkeypatch.setattr("services.accounts.bulk.jobs.carry_out", sometimes)
    accounts.tick()
    assert [item["outcome"] for item in accounts.items(bulk_id)] == ["waiting", "waiting", "carried_out"]
    for _ in range(8):
        accounts.tick()
    assert [(item["outcome"], item["code"]) for item in accounts.items(bulk_id)] == [
        ("failed", "unavailable"),
        ("carried_out", None),
        ("carried_out", None),
    ]
    assert tries[unlucky] == 3
    assert accounts.outcome(asked)[-1][0] == "completed"


def test_a_defect_in_one_row_stops_no_other(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, other = accounts.new_account(), accounts.new_account()
    bulk_id = accounts.upload("cancellations", cancellations(broken, other))["bulk_id"]
    accounts.send(SubmitCancellations(bulk_id=bulk_id))

    def defective(message: Any, *arguments: Any) -> Any:
        became = carry_out(message, *arguments)
        if message.account_id == broken:
            raise LookupError("after it was changed")
        return became

    monkeypatch.setattr("services.accounts.bulk.jobs.carry_out", defective)
    accounts.work()
    assert [item["outcome"] for item in accounts.items(bulk_id)] == ["failed", "carried_out"]
    assert accounts.status(broken) is AccountStatus.ACTIVE
    assert accounts.changes(broken) == []


def test_what_is_not_carried_out_yet_can_be_withdrawn(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Part 2 no. 1. A request of which something was done already is completed, one of which nothing was is withdrawn."""
    done, left = accounts.new_account(), accounts.new_account()
    message = SubmitCancellations(
        bulk_id=accounts.upload("cancellations", cancellations(done, left))["bulk_id"]
    )
    asked = accounts.send(message)
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "LONGEST_RUN_SECONDS", -1)  # a single row
        accounts.tick()
    accounts.decide(asked, message, Decision.WITHDRAW)
    accounts.work()
    assert [item["outcome"] for item in accounts.items(message.bulk_id)] == ["carried_out", "withdrawn"]
    (kind, said) = accounts.outcome(asked)[-1]
    assert (kind, said["result"]["withdrawn"]) == ("completed", 1)
    assert accounts.status(left) is AccountStatus.ACTIVE

    untouched = SubmitCancellations(bulk_id=accounts.upload("cancellations", cancellations(left))["bulk_id"])
    asked = accounts.send(untouched)
    accounts.decide(asked, untouched, Decision.WITHDRAW)
    accounts.work()
    assert accounts.outcome(asked)[-1][0] == "withdrawn"
    assert accounts.status(left) is AccountStatus.ACTIVE


def test_every_file_gets_its_share(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short file does not wait for a long one that came before it."""
    long, short = [accounts.new_account() for _ in range(20)], accounts.new_account()
    first = accounts.upload("cancellations", cancellations(*long))["bulk_id"]
    second = accounts.upload("cancellations", cancellations(short))["bulk_id"]
    for bulk_id in (first, second):
        accounts.send(SubmitCancellations(bulk_id=bulk_id))
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "LONGEST_RUN_SECONDS", -1)
        accounts.tick()
    assert accounts.get(f"/bulk/{first}")["carried_out"] == 1
    assert accounts.status(short) is AccountStatus.CANCELLED
    accounts.work()


def test_what_nobody_submits_is_forgotten(accounts: Accounts) -> None:
    bulk_id = accounts.upload("cancellations", cancellations(accounts.new_account()))["bulk_id"]
    kept = accounts.upload("cancellations", cancellations(accounts.new_account()))["bulk_id"]
    accounts.send(SubmitCancellations(bulk_id=kept))
    accounts.work()
    accounts.now += timedelta(days=14, seconds=1)
    for _ in range(60):
        accounts.now += timedelta(minutes=11)
        accounts.tick()
    accounts.get(f"/bulk/{bulk_id}", status=404)
    assert accounts.get(f"/bulk/{kept}")["carried_out"] == 1


# Whatever is in it

ROWS = st.lists(
    st.sampled_from(["good", "gone", "theirs", "nobody", "repeated", "no reason", "nonsense", "suspended"]),
    min_size=1,
    max_size=12,
)


@given(rows=ROWS, changes_between=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mix_of_rows_gives_each_exactly_one_outcome(
    accounts: Accounts, rows: list[str], changes_between: bool
) -> None:
    """Good ones are carried out, or refused for what happened since the dry run; the others keep their finding."""
    seen: list[str] = []
    lines, expected = ["account_id,reason"], []
    for row in rows:
        made: dict[str, Callable[[], str]] = {
            "gone": lambda: accounts.new_account(status=AccountStatus.CANCELLED),
            "suspended": lambda: accounts.new_account(status=AccountStatus.SUSPENDED),
            "theirs": lambda: accounts.new_account(THEIRS),
            "nobody": lambda: new_id("acc"),
            "nonsense": lambda: "x",
            "repeated": lambda: seen[0] if seen else accounts.new_account(),
        }
        account = made.get(row, accounts.new_account)()
        fresh = account not in seen
        if row != "nonsense" and row != "no reason":
            seen.append(account)
        lines.append(f"{account},{'' if row == 'no reason' else 'not_needed'}")
        good = row in ("good", "suspended") or (row == "repeated" and fresh)
        expected.append((account, "good" if good else "bad"))
    bulk = accounts.upload("cancellations", "\n".join(lines))
    to_do = [account for account, what in expected if what == "good"]
    assert (bulk["waiting"], bulk["rows"]) == (len(to_do), len(rows))
    beaten = to_do[:1] if changes_between else []
    if beaten:
        accounts.send(CancelAccounts(account_ids=beaten, reason=CancelReason.FRAUD))
    asked = accounts.send(SubmitCancellations(bulk_id=bulk["bulk_id"], skip_findings=True))
    accounts.work()

    items = accounts.items(bulk["bulk_id"])
    assert [item["row"] for item in items] == list(range(2, len(rows) + 2))
    for item, (account, what) in zip(items, expected, strict=True):
        done = what == "good" and account not in beaten
        assert item["outcome"] == ("carried_out" if done or (not to_do and what == "good") else "refused")
        assert (item["code"] is None) is done
    ends = [kind for kind, _ in accounts.outcome(asked)]
    assert ends == (["accepted", "completed"] if to_do else ["rejected"])
    for account in to_do:
        assert len([change for change in accounts.changes(account) if change.field == "status"]) == 1


# However long it is


class Endless(io.RawIOBase):
    """A file that is made as it is read, and knows how much of it was."""

    def __init__(self, rows: int) -> None:
        self._lines = self._made(rows)
        self._rest = b""
        self.read_so_far = 0

    @staticmethod
    def _made(rows: int) -> Iterator[bytes]:
        yield b"account_id,reason\n"
        for number in range(rows):
            yield b"acc_%026d,fraud\n" % number

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while len(self._rest) < len(buffer) and (line := next(self._lines, b"")):
            self._rest += line
        given, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(given)] = given
        self.read_so_far += len(given)
        return len(given)


def test_no_more_of_a_file_is_read_than_the_rows_in_hand() -> None:
    """A million rows: whoever takes ten has read no more than a buffer of them."""
    stream = Endless(1_000_000)
    rows = rows_of(stream, CSV)  # type: ignore[arg-type]
    first = [next(rows) for _ in range(10)]
    assert first[9] == (10, ["acc_00000000000000000000000008", "fraud"])
    assert stream.read_so_far < 100_000


def test_a_million_rows_are_refused_when_the_last_one_that_is_allowed_was_read(accounts: Accounts) -> None:
    stream = Endless(1_000_000)
    running = accounts.running
    with pytest.raises(Rejected, match="at most 2000 rows") as refusal:
        take_in(stream, CSV, KINDS[BulkKind.CANCELLATIONS], PA, running)  # type: ignore[arg-type]
    assert refusal.value.code == "too_many_rows"
    assert stream.read_so_far < 200_000


def test_memory_does_not_grow_with_the_rows(accounts: Accounts) -> None:
    """Ten times the rows take no more than a portion of them."""

    def peak(rows: int) -> int:
        tracemalloc.start()
        try:
            take_in(Endless(rows), CSV, KINDS[BulkKind.CANCELLATIONS], PA, accounts.running)  # type: ignore[arg-type]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(PORTION)  # what is made once and kept
    assert peak(PORTION * 10) < 2 * peak(PORTION)
