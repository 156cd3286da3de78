"""Any sequence of commands, days and failures of the issuer, against a small model of what should become of an account.

Every act that the model forbids is refused with its code, a card that has ended never comes back, and of an account's
cards one can be used at most.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.accounts.rules import card_expiry, keeps_number
from services.accounts.service import service
from services.accounts.tests.programme import Programme, running, user
from shared.actor import EVERYWHERE, Party
from shared.contracts.accounts import CancelAccount, CancelReason, SuspendAccount, UnsuspendAccount
from shared.contracts.base import Message
from shared.contracts.cards import ActivateCard, ReinstateAccount, ReplaceCard, ReplacementReason
from shared.contracts.tracking import Decision
from shared.database import sqlite_url
from shared.migrations import upgrade

PARTIES = [Party.HOLDER, Party.CLIENT, Party.ISSUER]  # from the lowest to the highest authority
YEAR = timedelta(days=365)
NewProgramme = Callable[[], tuple[Programme, Callable[[], object]]]


@dataclass
class ModelCard:
    """A card as it should be; ``number`` counts the numbers that the account has had."""

    state: str
    number: int
    expires_on: date
    considered: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in ("ordered", "shipped", "active")


@dataclass
class ModelOrder:
    """What the issuer is still to do, and for which request."""

    act: str
    asked: str
    placed_on: date
    card: ModelCard | None = None


@dataclass
class Model:
    """One account as it should be."""

    now: datetime
    status: str = "active"
    cards: list[ModelCard] = field(default_factory=list)  # the newest first
    holds: dict[Party, datetime] = field(default_factory=dict)
    scheduled: tuple[datetime, str] | None = None
    orders: list[ModelOrder] = field(default_factory=list)
    numbers: int = 0
    ended: dict[str, str] = field(default_factory=dict)  # how each request ended that had to wait

    @property
    def is_open(self) -> bool:
        return self.status in ("active", "suspended")

    @property
    def making(self) -> list[ModelOrder]:
        return [order for order in self.orders if order.act in ("keep", "renew", "new", "reinstate")]

    def replacing(self, reason: ReplacementReason) -> str:
        """Return what a replacement is answered with on an open account."""
        newest = self.cards[0]
        if any(order.act == "new" for order in self.making):
            return "new_card_on_its_way"
        if not keeps_number(reason):
            return "processing"
        if not newest.is_open:
            return f"card_{newest.state}"
        return "new_card_on_its_way" if newest.state != "active" or self.making else "processing"

    def settle_holds(self) -> None:
        if self.is_open:
            self.status = "suspended" if self.holds else "active"

    def close_cards(self) -> None:
        for card in self.cards:
            if card.is_open:
                card.state = "closed"

    def cancel(self) -> None:
        self.status = "cancelled"
        self.close_cards()
        self.supersede()

    def supersede(self) -> None:
        if self.scheduled:
            self.ended[self.scheduled[1]] = "superseded"
            self.scheduled = None

    def pass_by(self, time: timedelta, *, away: bool) -> None:
        """Do what the clock and, unless it is away, the issuer do."""
        self.now += time
        self.holds = {party: end for party, end in self.holds.items() if end > self.now}
        self.settle_holds()
        if self.scheduled and self.scheduled[0] <= self.now:
            asked, self.scheduled = self.scheduled[1], None
            if self.is_open:
                self.cancel()
                self.ended[asked] = "completed"
            else:
                self.ended[asked] = f"account_{self.status}"
        for card in list(self.cards):
            self._look_at(card)
        if not away:
            self.work()

    def _look_at(self, card: ModelCard) -> None:
        if self.is_open and card.is_open and self.now.date() >= card.expires_on - timedelta(days=30):
            others = any(other.is_open for other in self.cards if other is not card)
            if not card.considered and card.state == "active" and not others and not self.making:
                self.orders.append(ModelOrder("renew", "", self.now.date(), card))
            card.considered = True
        if self.is_open and card.is_open and self.now.date() > card.expires_on:
            card.state = "expired"
            if not any(other.is_open for other in self.cards) and not self.making:
                self.status = "expired"

    def work(self) -> None:
        """Let the issuer do what it has to, in order."""
        while self.orders:
            order = self.orders.pop(0)
            end = getattr(self, f"_{order.act}")(order)
            if order.asked:
                self.ended[order.asked] = end

    def _keep(self, order: ModelOrder) -> str:
        if not self.is_open:
            return f"account_{self.status}"
        assert order.card
        after = order.card.expires_on if order.act == "renew" else order.placed_on
        self.add(order.card.number, max(after, order.placed_on))
        return "completed"

    _renew = _keep

    def _new(self, order: ModelOrder) -> str:
        if not self.is_open:
            return f"account_{self.status}"
        self.numbers += 1
        self.add(self.numbers, order.placed_on)
        return "completed"

    def _reinstate(self, order: ModelOrder) -> str:
        self.status = "active"
        self.settle_holds()
        return self._new(order)

    def _activate(self, order: ModelOrder) -> str:
        assert order.card
        if not self.is_open:
            return f"account_{self.status}"
        if order.card.state != "shipped":
            return f"card_{order.card.state}"
        self.close_others(order.card)
        return "completed"

    def close_others(self, card: ModelCard) -> None:
        self.close_cards()
        card.state = "active"

    def add(self, number: int, good_from: date) -> None:
        self.cards.insert(0, ModelCard("shipped", number, card_expiry(good_from)))


class AnySequence(RuleBasedStateMachine):
    """One account and all that can happen to it."""

    new_programme: NewProgramme

    def __init__(self) -> None:
        super().__init__()
        self.programme, self.close = self.new_programme()
        self.away = False
        self.gone: dict[str, str] = {}

    def teardown(self) -> None:
        self.close()

    @initialize()
    def open(self) -> None:
        self.account = self.programme.open()
        self.model = Model(self.programme.now)
        self.model.numbers = 1
        self.model.add(1, self.model.now.date())

    # Commands

    @rule()
    def cancel(self) -> None:
        self.expect(
            CancelAccount(account_id=self.account, reason=CancelReason.FRAUD), self.open_or("completed")
        )
        if self.model.is_open:
            self.model.cancel()

    @rule(days=st.integers(1, 180))
    def cancel_later(self, days: int) -> None:
        at = self.model.now + timedelta(days=days)
        command = CancelAccount(account_id=self.account, reason=CancelReason.DORMANT, effective_at=at)
        asked = self.expect(command, self.open_or("scheduled"))
        if self.model.is_open:
            self.model.supersede()
            self.model.scheduled = at, asked

    @precondition(lambda self: self.model.scheduled)
    @rule()
    def withdraw(self) -> None:
        assert self.model.scheduled
        self.programme.decide(self.model.scheduled[1], CancelAccount, Decision.WITHDRAW)
        self.model.ended[self.model.scheduled[1]] = "withdrawn"
        self.model.scheduled = None

    @rule(party=st.sampled_from(PARTIES))
    def suspend(self, party: Party) -> None:
        self.expect(SuspendAccount(account_id=self.account), self.open_or("completed"), party)
        if self.model.is_open:
            self.model.holds[party] = self.model.now + YEAR
            self.model.settle_holds()

    @rule(party=st.sampled_from(PARTIES))
    def unsuspend(self, party: Party) -> None:
        mine = [origin for origin in self.model.holds if PARTIES.index(origin) <= PARTIES.index(party)]
        code = "completed" if mine else "hold_of_higher_origin" if self.model.holds else "not_suspended"
        self.expect(UnsuspendAccount(account_id=self.account), self.open_or(code), party)
        if self.model.is_open:
            for origin in mine:
                del self.model.holds[origin]
            self.model.settle_holds()

    @rule(reason=st.sampled_from(ReplacementReason))
    def replace(self, reason: ReplacementReason) -> None:
        command = ReplaceCard(
            account_id=self.account, reason=reason, contact_name="Bob", contact_email="bob@example.org",
            last_seen_at=self.model.now, last_seen_where="Leeds", circumstances="Gone.",
        )  # fmt: skip
        model, newest, code = self.model, self.model.cards[0], self.model.replacing(reason)
        asked = self.expect(command, self.open_or(code))
        if not model.is_open or code != "processing":
            return
        if keeps_number(reason):
            self.order("keep", asked, newest)
            return
        for order in [order for order in model.orders if order.act in ("keep", "renew")]:
            model.orders.remove(order)
            if order.asked:
                model.ended[order.asked] = "superseded"
        model.close_cards()
        self.order("new", asked)

    @rule()
    def activate(self) -> None:
        newest = self.model.cards[0]
        code = "processing" if newest.state == "shipped" else f"card_{newest.state}"
        if code == "processing" and any(order.act == "activate" for order in self.model.orders):
            code = "already_under_way"
        asked = self.expect(ActivateCard(account_id=self.account), self.open_or(code))
        if self.model.is_open and code == "processing":
            self.order("activate", asked, newest)

    @rule()
    def reinstate(self) -> None:
        command = ReinstateAccount(account_id=self.account, comment="By mistake.")
        code = {"cancelled": "processing", "expired": "account_expired"}.get(
            self.model.status, "not_cancelled"
        )
        if code == "processing" and any(order.act == "reinstate" for order in self.model.orders):
            code = "already_under_way"
        asked = self.expect(command, code)
        if code == "processing":
            self.order("reinstate", asked)

    # What else happens

    @rule(days=st.sampled_from([1, 40, 200, 500]))
    def days_pass(self, days: int) -> None:
        self.time_passes(timedelta(days=days))

    @precondition(lambda self: not self.away)
    @rule()
    def the_issuer_goes_away(self) -> None:
        self.away = True
        self.programme.close_the_issuer()

    @precondition(lambda self: self.away)
    @rule()
    def the_issuer_comes_back(self) -> None:
        self.away = False
        self.programme.open_the_issuer()
        self.time_passes(timedelta(minutes=10))

    # What must hold

    @invariant()
    def everything_is_as_it_should_be(self) -> None:
        if not hasattr(self, "model"):
            return
        profile, cards = self.programme.profile(self.account), self.programme.cards(self.account)
        assert profile.status == self.model.status
        assert [card.state for card in cards] == [card.state for card in self.model.cards]
        assert [card.expires_on for card in cards] == [card.expires_on for card in self.model.cards]
        numbers = [card.number for card in self.model.cards]
        assert len({(n, c.card_number) for n, c in zip(numbers, cards, strict=True)}) == len(set(numbers))
        waiting = len(self.model.orders) + len(self.model.holds) * self.model.is_open
        assert bool(self.programme.pending(self.account)) >= bool(waiting)

    @invariant()
    def one_card_can_be_used_at_most_and_none_comes_back(self) -> None:
        if not hasattr(self, "model"):
            return
        cards = self.programme.cards(self.account)
        usable = [card for card in cards if card.usable]
        assert len(usable) <= 1
        assert not usable or (self.model.status, usable[0].state) == ("active", "active")
        for card in cards:
            assert self.gone.get(card.card_id, card.state) == card.state
            if card.state in ("closed", "expired"):
                self.gone[card.card_id] = card.state

    @invariant()
    def every_request_that_waited_ended_once(self) -> None:
        if not hasattr(self, "model"):
            return
        for asked, end in self.model.ended.items():
            steps = self.programme.outcomes(asked)
            assert (len(steps), steps[-1]) == (2, end)

    # How

    def open_or(self, code: str) -> str:
        return code if self.model.is_open else f"account_{self.model.status}"

    def expect(self, command: Message, code: str, party: Party = Party.ISSUER) -> str:
        asked = self.programme.send(command, user(EVERYWHERE, party=party))
        assert self.programme.outcomes(asked)[0] == code
        return asked

    def order(self, act: str, asked: str, card: ModelCard | None = None) -> None:
        self.model.orders.append(ModelOrder(act, asked, self.model.now.date(), card))
        if not self.away:
            self.model.work()

    def time_passes(self, time: timedelta) -> None:
        self.programme.pass_by(seconds=time.total_seconds())
        self.programme.run_jobs()
        self.model.pass_by(time, away=self.away)


@pytest.fixture
def new_programme(tmp_path: Path) -> NewProgramme:
    """Programmes on SQLite, each on a copy of a database with the service's tables."""
    template = tmp_path / "template.sqlite"
    upgrade(service, sqlite_url(template))

    def make() -> tuple[Programme, Callable[[], object]]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        shutil.copy(template, folder / "accounts.sqlite")
        runs = running(sqlite_url(folder / "accounts.sqlite"), folder)
        return next(runs), lambda: next(runs, None)

    return make


def test_any_sequence(new_programme: NewProgramme) -> None:
    """ACC-09 to ACC-14, Part 2 nos. 1, 10 and 12."""

    class Machine(AnySequence):
        pass

    Machine.new_programme = staticmethod(new_programme)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a failing example takes minutes to shrink
            suppress_health_check=list(HealthCheck),
        ),
    )
