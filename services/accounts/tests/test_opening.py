"""Opening a card account: it is there when the issuer has opened it, with a number that was never given out (ACC-06)."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from services.accounts.issuer import IssuerRefused, IssuerSimulator, Plastic, WantedCard
from services.accounts.jobs import orders
from services.accounts.model import CardAccount, Order
from services.accounts.tests.programme import Programme, opening
from shared.contracts.accounts import AccountOpened

ADA = opening()


def accounts(programme: Programme) -> int:
    """Return how many accounts there are, which an outsider could only count by looking for each."""
    with programme.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(CardAccount)) or 0


def test_a_number_that_was_given_out_is_drawn_anew(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under one reference the processor gives out one number for ever; the order goes out under another."""
    numbers = iter(["9999000000000018", "9999000000000018", "9999000000000018", "9999000000000026"])
    given: dict[str, str] = {}

    def open_(_: IssuerSimulator, reference: str, wanted: WantedCard) -> Plastic:
        number = given.setdefault(reference, next(numbers))
        return Plastic(number=number, issued_on=wanted.ordered_on, expires_on=wanted.ordered_on)

    monkeypatch.setattr(IssuerSimulator, "open", open_)

    first, second = (programme.send(ADA) for _ in range(2))
    programme.run_jobs()

    assert [programme.outcomes(asked) for asked in (first, second)] == [["processing", "completed"]] * 2
    opened = [programme.result(asked)["account_id"] for asked in (first, second)]
    assert [len(programme.events(AccountOpened, account)) for account in opened] == [1, 1]
    assert {programme.profile(account).card_number[-4:] for account in opened} == {"0018", "0026"}
    assert len(given) == 4


def test_while_the_issuer_is_away_there_is_no_account_yet(programme: Programme) -> None:
    """Accepted and tried again, never half done; afterwards nothing of the holder is left with the order."""
    programme.close_the_issuer()
    asked = programme.send(ADA)
    for _ in range(5):
        programme.pass_by(minutes=10)
    assert programme.outcomes(asked) == ["processing"]
    assert accounts(programme) == 0
    assert [e.key for e in programme.said if e.key == AccountOpened.contract.key] == []

    programme.open_the_issuer()
    programme.pass_by(minutes=5)
    assert programme.outcomes(asked) == ["processing", "completed"]
    account = programme.result(asked)["account_id"]
    assert programme.profile(account).full_name == "Ada Lovelace"
    with programme.database.read() as session:
        assert session.scalars(sa.select(Order)).all() == []


def test_the_pauses_grow_while_the_issuer_is_away(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(_: IssuerSimulator, reference: str, wanted: WantedCard) -> Plastic:
        asked.append(reference)
        return make(_, reference, wanted)

    make = IssuerSimulator.open
    monkeypatch.setattr(IssuerSimulator, "open", note)
    programme.close_the_issuer()
    programme.send(ADA)
    for _ in range(60):
        programme.pass_by(seconds=1)
    assert 4 <= len(asked) <= 7  # after 2, 4, 8, 16 and 32 seconds
    assert len(set(asked)) == 1


def test_what_the_issuer_refuses_is_rejected(programme: Programme, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Plastic:
        raise IssuerRefused("the range is used up")

    monkeypatch.setattr(IssuerSimulator, "open", refuse)
    asked = programme.send(ADA)
    assert programme.outcomes(asked) == ["processing", "issuer_refused"]
    assert accounts(programme) == 0


def test_an_order_that_cannot_be_put_together_keeps_no_other_from_being_done(programme: Programme) -> None:
    """Such as one written by another version."""
    broken, good = (programme.send(ADA, work=False) for _ in range(2))
    with programme.database.write() as session:
        session.execute(
            sa.update(Order).where(Order.command_id == broken).values(facts={"first_name": "Ada"})
        )
    programme.run_jobs()
    assert [programme.outcomes(one) for one in (broken, good)] == [
        ["processing"],
        ["processing", "completed"],
    ]


def test_several_workers_open_each_account_once(programme: Programme) -> None:
    asked = [programme.send(ADA, work=False) for _ in range(12)]
    workers = [programme.new_worker() for _ in range(3)]
    with ThreadPoolExecutor(len(workers)) as pool:
        for processed in pool.map(lambda worker: worker.run_jobs(), workers):
            programme.hear(processed)
    programme.run_jobs()
    assert [programme.outcomes(one) for one in asked] == [["processing", "completed"]] * 12
    opened = {programme.result(one)["account_id"] for one in asked}
    assert accounts(programme) == len(opened) == 12
    assert all(len(programme.events(AccountOpened, account)) == 1 for account in opened)


def test_a_worker_that_dies_after_the_answer_leaves_nothing_half_done(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one asks again under the same reference, when the first has had time enough, and gets the same card."""
    make, given = IssuerSimulator.open, []

    def note(_: IssuerSimulator, reference: str, wanted: WantedCard) -> Plastic:
        given.append((reference, make(_, reference, wanted)))
        return given[-1][1]

    def die(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(IssuerSimulator, "open", note)
    with monkeypatch.context() as dying:
        dying.setattr(orders, "_settle", die)
        with pytest.raises(SystemExit):
            programme.send(ADA)
    asked = next(e.correlation_id for e in programme.said)
    programme.pass_by(seconds=30)
    assert len(given) == 1
    assert accounts(programme) == 0
    programme.pass_by(minutes=1)
    assert given[0] == given[1]
    assert programme.outcomes(asked) == ["processing", "completed"]
    assert accounts(programme) == 1


def test_a_slow_issuer_keeps_a_worker_for_one_answer_at_a_time(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What there was no time for falls due again at once, as if it had not been taken up."""
    make, seen = IssuerSimulator.open, []

    def take_long(_: IssuerSimulator, reference: str, wanted: WantedCard) -> Plastic:
        seen.append(reference)
        monkeypatch.setattr(time, "perf_counter", lambda: float("inf"))
        return make(_, reference, wanted)

    monkeypatch.setattr(IssuerSimulator, "open", take_long)
    asked = [programme.send(ADA, work=False) for _ in range(2)]
    for done in (["processing"], ["processing", "completed"]):
        monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
        programme.run_jobs()
        assert programme.outcomes(asked[0]) == ["processing", "completed"]
        assert programme.outcomes(asked[1]) == done
    assert len(seen) == 2


def test_a_defect_with_one_order_keeps_no_other_from_being_done(
    programme: Programme, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, seen = IssuerSimulator.open, []

    def fail_first(_: IssuerSimulator, reference: str, wanted: WantedCard) -> Plastic:
        seen.append(reference)
        if reference == seen[0] and len(seen) < 4:
            raise RuntimeError("never thought of")
        return make(_, reference, wanted)

    monkeypatch.setattr(IssuerSimulator, "open", fail_first)
    asked = [programme.send(ADA, work=False) for _ in range(2)]
    programme.run_jobs()
    assert [programme.outcomes(one) for one in asked] == [["processing"], ["processing", "completed"]]
    for _ in range(3):
        programme.pass_by(minutes=5)
    assert programme.outcomes(asked[0]) == ["processing", "completed"]
