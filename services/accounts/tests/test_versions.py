"""Whoever has seen a version of something changes it at no other (API, *Concurrency*)."""

from services.accounts.tests.programme import LEGAL, MASTER, SALES, Programme, user
from shared.contracts.accounts import ChangeAccounting, TransferAccount
from shared.contracts.structure import ChangeControlAccountSettings

PA = user(MASTER)


def test_what_was_changed_meanwhile_is_not_changed_in_the_same_batch_either(programme: Programme) -> None:
    account = programme.insert_account()
    seen = programme.profile(account).version
    deliveries = [
        programme.delivery(
            ChangeAccounting(account_id=account, cost_centre=cost_centre),
            PA,
            subject=account,
            expected_version=seen,
        )
        for cost_centre in ("C1", "C2")
    ]

    ended = programme.ended(*deliveries)

    assert [one.get("code") for one in ended] == [None, "stale"]
    assert programme.account(account).cost_centre == "C1"
    assert programme.profile(account).version == seen + 1


def test_only_what_the_command_is_about_has_to_be_as_it_was_seen(programme: Programme) -> None:
    """Not what else it names, such as the target of a transfer."""
    account = programme.insert_account(SALES)
    programme.done(ChangeControlAccountSettings(number=LEGAL, suspension_cap_days=9))
    moved = programme.delivery(
        TransferAccount(account_id=account, control_account=LEGAL), PA, subject=account,
        expected_version=programme.profile(account).version,
    )  # fmt: skip
    (ended,) = programme.ended(moved)
    assert ended["ended"] == "completed", ended


def test_a_control_account_has_versions_too(programme: Programme) -> None:
    command = ChangeControlAccountSettings(number=SALES, suspension_cap_days=9)
    deliveries = [programme.delivery(command, PA, subject=SALES, expected_version=1) for _ in range(2)]
    assert [one.get("code") for one in programme.ended(*deliveries)] == [None, "stale"]
