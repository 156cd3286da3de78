"""A mail is tried until it is accepted or refused, and never sent twice for one event."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

import pytest

from services.notifications import jobs
from services.notifications.outlets import outlet_of
from services.notifications.post import Outlet
from services.notifications.queries import next_due, one_mail
from services.notifications.rules import ABANDONED_AFTER
from services.notifications.tests.conftest import NOW, SEAL, Notifications, delivery
from services.notifications.tests.events import (
    CODE,
    TOKEN,
    invited,
    lent,
    password_changed,
    recipient,
    reset_asked,
)
from shared.contracts.identity import ContactChanged
from shared.errors import Rejected
from shared.ids import new_message_id
from shared.sealing import Seal, new_seal_key
from shared.testing.eventually import eventually

Spoil = Callable[[Notifications], Any]


def test_an_event_that_comes_twice_is_told_once(notifications: Notifications) -> None:
    (id_,) = notifications.hear(password_changed())
    notifications.work()
    notifications.hear(password_changed(), ids=[id_])
    notifications.hear(password_changed(), password_changed(), ids=[id_, id_])
    notifications.work(days=1)
    assert len(notifications.received) == 1


def test_an_event_that_the_inbox_has_forgotten_is_still_told_once(notifications: Notifications) -> None:
    (id_,) = notifications.hear(password_changed())
    notifications.work()
    notifications.work(days=notifications.settings.inbox_days + 1)
    with notifications.store.read() as session:
        assert session.connection().exec_driver_sql("select count(*) from inbox").scalar() == 0
    notifications.hear(password_changed(), ids=[id_])
    notifications.work()
    assert len(notifications.received) == 1


def test_each_recipient_of_an_event_gets_a_mail(notifications: Notifications) -> None:
    notifications.hear(lent(recipient("Lea", "lea@example.org"), recipient("Bob", "bob@example.org")))
    notifications.work()
    subjects = {
        message["To"].addresses[0].addr_spec: message["Subject"] for message in notifications.received
    }
    assert subjects == {
        "bob@example.org": "Lea shares functions with you in Cardwork",
        "lea@example.org": "You share functions with Bob in Cardwork",
    }
    assert len({message["Message-ID"] for message in notifications.received}) == 2


def test_an_address_that_an_event_names_twice_gets_one_mail(notifications: Notifications) -> None:
    both = [
        recipient(email="old@example.org"),
        recipient(email="Old@Example.org"),
        recipient(email="new@example.org"),
    ]
    notifications.hear(ContactChanged(user="usr_1", company=None, recipients=both))
    notifications.work()
    assert len(notifications.received) == 2


def server_stopped(notifications: Notifications) -> None:
    notifications.server.stop()


def refusing_for_now(notifications: Notifications) -> None:
    notifications.server.answer_recipient = "451 {} greylisted, come again"


def refusing_the_text_for_now(notifications: Notifications) -> None:
    notifications.server.answer_text = "452 no room"


def refusing_the_sender(notifications: Notifications) -> None:
    notifications.server.answer_sender = "550 who are you"


def hanging_up_before_the_text(notifications: Notifications) -> None:
    notifications.server.hang_up_before_text = True


def mend(notifications: Notifications) -> None:
    server = notifications.server
    server.answer_recipient = server.answer_sender = server.answer_text = None
    server.hang_up_before_text = False
    server.stop()
    server.start()


@pytest.mark.parametrize(
    "spoil",
    [
        server_stopped, refusing_for_now, refusing_the_text_for_now, refusing_the_sender, hanging_up_before_the_text,
    ],
)  # fmt: skip
def test_what_was_certainly_not_accepted_is_tried_again_and_sent_once(
    notifications: Notifications, spoil: Spoil
) -> None:
    spoil(notifications)
    notifications.hear(invited())
    for attempt in (1, 2, 3):
        notifications.work(hours=1)
        row = notifications.row
        assert (row.state, row.attempts) == ("waiting", attempt)
        assert row.error
        assert "anna" not in row.error
        assert row.due_at > notifications.now
    mend(notifications)
    notifications.work(hours=1)
    notifications.work(days=1)
    assert [message["Message-ID"] for message in notifications.received] == [f"<{row.id}@example.org>"]
    assert (notifications.row.state, notifications.row.error) == ("sent", None)


def test_pauses_grow_and_after_the_last_try_an_operator_is_needed(notifications: Notifications) -> None:
    notifications.change(mail_attempts=4)
    notifications.server.stop()
    notifications.hear(password_changed())
    notifications.work()
    pauses = []
    while notifications.row.state == "waiting":
        pauses.append((notifications.row.due_at - notifications.now).total_seconds())
        before = notifications.row.attempts
        notifications.work(seconds=pauses[-1] - 1)
        assert notifications.row.attempts == before
        notifications.work()
    assert pauses == [30, 60, 120]
    assert notifications.row.state == "failed"
    assert str(notifications.row.error).startswith("given up after 4 tries: no way to the mail server")


def test_a_server_that_is_away_is_asked_once_in_a_run(notifications: Notifications) -> None:
    notifications.server.stop()
    notifications.hear(*(password_changed() for _ in range(3)))
    notifications.work()
    assert sorted(row.attempts for row in notifications.rows) == [0, 0, 1]


def test_a_recipient_who_is_refused_for_good_fails_at_once_with_the_reason(
    notifications: Notifications,
) -> None:
    notifications.server.answer_recipient = "550 5.1.1 <{}>: no such mailbox"
    notifications.hear(password_changed())
    notifications.work()
    row = notifications.row
    assert (row.state, row.attempts) == ("failed", 1)
    assert (
        row.error == "the mail server does not take mails for the recipient: 550 5.1.1 <•••>: no such mailbox"
    )
    mend(notifications)
    notifications.work(days=2)
    assert notifications.received == []


def test_the_next_mail_goes_out_after_one_that_was_refused(notifications: Notifications) -> None:
    notifications.server.answer_text = "554 looks like spam"
    notifications.hear(password_changed())
    notifications.work()
    notifications.server.answer_text = None
    notifications.hear(password_changed())
    notifications.work()
    assert [row.state for row in notifications.rows] == ["failed", "sent"]


def test_what_was_handed_over_without_an_answer_is_never_sent_again_by_itself(
    notifications: Notifications,
) -> None:
    notifications.server.hang_up_after_text = True
    notifications.hear(password_changed())
    notifications.work()
    assert (notifications.row.state, len(notifications.received)) == ("uncertain", 1)
    assert str(notifications.row.error).startswith("no answer after the mail was handed over")
    notifications.server.hang_up_after_text = False
    for _ in range(3):
        notifications.work(hours=7)
    assert len(notifications.received) == 1


class KilledError(BaseException):
    """The process ended here."""


class Killed(Outlet):
    """An outlet under whose hands the process ends, before or after the mail server has the mail."""

    def __init__(self, inner: Outlet | None) -> None:
        self._inner = inner

    def send(self, message: EmailMessage) -> None:
        if self._inner:
            self._inner.send(message)
        raise KilledError

    def close(self) -> None: ...


@pytest.mark.parametrize("handed_over", [False, True])
def test_a_worker_killed_while_it_sends_leaves_a_mail_for_an_operator(
    notifications: Notifications, monkeypatch: pytest.MonkeyPatch, handed_over: bool
) -> None:
    inner = outlet_of(notifications.settings) if handed_over else None
    notifications.hear(password_changed())
    with monkeypatch.context() as patched:
        patched.setattr(jobs, "outlet_of", lambda _: Killed(inner))
        with pytest.raises(KilledError):
            notifications.work()
    notifications.change()  # another worker
    notifications.work(seconds=ABANDONED_AFTER.total_seconds() - 1)
    assert notifications.row.state == "sending"
    notifications.work(seconds=60)
    assert notifications.row.state == "uncertain"
    notifications.work(days=2)
    assert len(notifications.received) == handed_over


def test_a_defect_of_the_outlet_leaves_doubt_about_one_mail_and_sends_the_next(
    notifications: Notifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Defective(Outlet):
        def send(self, message: EmailMessage) -> None:
            sent.append(message)
            if len(sent) == 1:
                raise RuntimeError("never thought of")

        def close(self) -> None: ...

    sent: list[EmailMessage] = []
    monkeypatch.setattr(jobs, "outlet_of", lambda _: Defective())
    notifications.hear(password_changed(), password_changed())
    notifications.work()
    notifications.work(days=1)
    assert [row.state for row in notifications.rows] == ["uncertain", "sent"]
    assert len(sent) == 2


def test_many_workers_send_each_mail_once(notifications: Notifications) -> None:
    many = 40
    notifications.hear(*(password_changed() for _ in range(many)))
    workers = [notifications.new_worker() for _ in range(4)]
    together = threading.Barrier(len(workers))

    def work(worker: Any) -> None:
        together.wait()
        for _ in range(3):
            worker._job_due.clear()
            worker.run_jobs()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually(lambda: {row.state for row in notifications.rows} == {"sent"})
    ids = [message["Message-ID"] for message in notifications.received]
    assert len(ids) == len(set(ids)) == many
    assert {row.attempts for row in notifications.rows} == {1}


@pytest.mark.parametrize("tables", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_a_mail_that_one_worker_is_taking_up_is_passed_over_by_another(notifications: Notifications) -> None:
    """Whoever comes second takes the next mail, and none where there is none, without waiting."""
    notifications.hear(password_changed(), password_changed())
    with (
        notifications.store.write() as first,
        notifications.store.write() as second,
        notifications.store.write() as third,
    ):
        taken = [next_due(session, notifications.now) for session in (first, second, third)]
    assert taken[2] is None
    assert {mail.id for mail in taken[:2] if mail} == {row.id for row in notifications.rows}


def test_no_transaction_is_open_while_the_mail_server_is_spoken_to(
    notifications: Notifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ones: list[int] = []
    worker = notifications.worker
    transaction = worker._transaction

    @contextmanager
    def counted() -> Iterator[Any]:
        open_ones.append(1)
        try:
            with transaction() as session:
                yield session
        finally:
            open_ones.pop()

    class Looking(Outlet):
        def send(self, message: EmailMessage) -> None:
            seen.append((len(open_ones), notifications.row.state))

        def close(self) -> None: ...

    seen: list[tuple[int, str]] = []
    monkeypatch.setattr(worker, "_transaction", counted)
    monkeypatch.setattr(jobs, "outlet_of", lambda _: Looking())
    notifications.hear(password_changed())
    notifications.work()
    assert seen == [(0, "sending")]
    assert notifications.row.state == "sent"


def test_the_answer_that_comes_late_settles_the_doubt(
    notifications: Notifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow server answers after another worker has given the mail up."""

    class Slow(Outlet):
        def send(self, message: EmailMessage) -> None:
            notifications.now += ABANDONED_AFTER
            notifications.new_worker().run_jobs()
            assert notifications.row.state == "uncertain"

        def close(self) -> None: ...

    monkeypatch.setattr(jobs, "outlet_of", lambda _: Slow())
    notifications.hear(password_changed())
    notifications.work()
    assert notifications.row.state == "sent"


def test_an_operator_sends_again_what_is_uncertain(notifications: Notifications) -> None:
    notifications.server.hang_up_after_text = True
    notifications.hear(invited())
    notifications.work()
    notifications.server.hang_up_after_text = False
    send_again(notifications)
    notifications.work()
    first, second = notifications.received
    assert first["Message-ID"] == second["Message-ID"]
    assert CODE in second.get_content()
    assert notifications.row.state == "sent"


def test_only_failed_and_uncertain_mails_are_sent_again(notifications: Notifications) -> None:
    notifications.hear(password_changed())
    with pytest.raises(Rejected, match="is waiting: only failed and uncertain ones"):
        send_again(notifications)
    notifications.work()
    with pytest.raises(Rejected, match="is sent: only failed and uncertain ones"):
        send_again(notifications)


def send_again(notifications: Notifications) -> None:
    id_ = notifications.row.id
    with notifications.store.write() as session:
        one_mail(session, id_).send_again(notifications.now)


def test_a_code_that_has_expired_is_not_mailed(notifications: Notifications) -> None:
    notifications.server.stop()
    notifications.hear(reset_asked())
    notifications.work()
    mend(notifications)
    notifications.work(minutes=31)
    assert notifications.received == []
    assert (notifications.row.state, notifications.row.error) == (
        "failed",
        "what it tells had expired before it could be sent",
    )


def test_neither_addresses_nor_codes_lie_in_clear(notifications: Notifications) -> None:
    notifications.server.answer_recipient = "451 {0} ({0}) greylisted"
    notifications.hear(invited(), reset_asked())
    notifications.work()
    for row in notifications.rows:
        everything = " ".join(str(value) for value in vars(row).values())
        for secret in ("anna", "Anna", CODE, TOKEN, "example.org"):
            assert secret not in everything


def test_a_code_is_forgotten_once_it_was_mailed(notifications: Notifications) -> None:
    notifications.hear(invited())
    assert CODE in SEAL.open(notifications.row.letter)
    notifications.work()
    assert CODE not in SEAL.open(notifications.row.letter)
    assert "anna@example.org" in SEAL.open(notifications.row.letter)


def test_a_letter_sealed_with_another_key_fails_and_holds_no_other_up(notifications: Notifications) -> None:
    notifications.hear(password_changed())
    with notifications.store.write() as session:
        one_mail(session, notifications.row.id).letter = Seal(new_seal_key()).close("{}")
    notifications.hear(password_changed())
    notifications.work()
    assert sorted(row.state for row in notifications.rows) == ["failed", "sent"]


def test_an_event_whose_code_was_sealed_with_another_key_is_a_dead_letter(
    notifications: Notifications,
) -> None:
    notifications.change(sealing_key=new_seal_key())
    processed = notifications.worker.process([delivery(invited(), new_message_id(), NOW)])
    assert [publication.key for publication in processed.publications] == ["notifications.events.dead"]
    assert notifications.rows == []


def test_old_mails_are_forgotten_but_not_those_that_wait(notifications: Notifications) -> None:
    notifications.hear(password_changed())
    notifications.work()
    notifications.change(mail_days=3)
    notifications.server.stop()
    notifications.work(days=2)
    notifications.hear(password_changed())
    notifications.work(days=2)
    assert [row.state for row in notifications.rows] == ["waiting"]


def test_one_connection_serves_a_run(notifications: Notifications) -> None:
    notifications.hear(*(password_changed() for _ in range(5)))
    notifications.work()
    assert (len(notifications.received), notifications.server.connections) == (5, 1)


def test_a_run_sends_no_more_than_its_share(
    notifications: Notifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_AT_ONCE", 3)
    notifications.hear(*(password_changed() for _ in range(5)))
    notifications.work()
    assert len(notifications.received) == 3
    notifications.work()
    assert len(notifications.received) == 5
