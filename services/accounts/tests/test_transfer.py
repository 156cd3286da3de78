"""A card account transferred to another control account inherits everything there (ACC-15)."""

from datetime import timedelta

from services.accounts.tests.programme import (
    FIELD,
    LEGAL,
    MASTER,
    NORTH,
    RETAIL,
    SALES,
    START,
    Programme,
    user,
)
from shared.contracts.accounts import (
    AccountTransferred,
    CancelAccount,
    CancelReason,
    Product,
    SuspendAccount,
    TransferAccount,
)
from shared.contracts.structure import ChangeControlAccountSettings, FieldUse

PA = user(MASTER)


def test_an_account_hangs_elsewhere_with_new_fields(programme: Programme) -> None:
    account = programme.open(SALES, employee_id="E1", cost_centre="C1", universal_number="U1")
    target = ChangeControlAccountSettings(
        number=LEGAL, universal_number=FieldUse.ABSENT, suspension_cap_days=9
    )
    programme.done(target)

    programme.done(TransferAccount(account_id=account, control_account=LEGAL, cost_centre="C2"), PA)

    stored = programme.account(account)
    assert (stored.control_account, stored.employee_id, stored.cost_centre) == (LEGAL, "E1", "C2")
    assert stored.universal_number is None, "the target has none"
    assert ("control_account", SALES, LEGAL) in programme.history(account)
    (told,) = programme.told(AccountTransferred)
    assert (told.former_control_account, told.control_account, told.version) == (SALES, LEGAL, 2)
    too_long = SuspendAccount(account_id=account, ends_at=START + timedelta(days=10))
    assert programme.refused(too_long, PA) == ("suspension_too_long", "ends_at")


def test_what_the_target_does_not_allow_is_refused(programme: Programme) -> None:
    account = programme.open(SALES)
    programme.done(ChangeControlAccountSettings(number=FIELD, products=[Product.CORPORATE_PURCHASING]))
    wanted, unwanted = FieldUse.MANDATORY, FieldUse.ABSENT
    programme.done(ChangeControlAccountSettings(number=LEGAL, employee_id=wanted, cost_centre=unwanted), PA)

    def refused(target: str, **fields: str) -> tuple[str, str | None]:
        return programme.refused(TransferAccount(account_id=account, control_account=target, **fields), PA)

    assert refused(FIELD) == ("product_not_allowed", "control_account")
    assert refused(LEGAL) == ("field_mandatory", "employee_id")
    assert refused(LEGAL, employee_id="E", cost_centre="C") == ("field_absent", "cost_centre")
    assert refused(SALES) == ("already_there", "control_account")
    assert refused(NORTH) == ("not_a_basic_control_account", "control_account")
    assert refused(RETAIL) == ("not_found", "control_account"), "another company's"
    programme.done(CancelAccount(account_id=account, reason=CancelReason.FRAUD))
    assert refused(FIELD) == ("account_cancelled", "account_id")


def test_many_in_one_batch_are_all_transferred(programme: Programme) -> None:
    accounts = [programme.open(number, cost_centre="C1") for number in (SALES, FIELD) * 3]
    sent = [TransferAccount(account_id=one, control_account=LEGAL, cost_centre="C2") for one in accounts]
    programme.ended(*(programme.delivery(message, PA) for message in sent))
    stored = [programme.account(one) for one in accounts]
    assert {(one.control_account, one.cost_centre, one.version) for one in stored} == {(LEGAL, "C2", 2)}
    assert programme.node(LEGAL).accounts == len(accounts)


def test_what_comes_after_a_transfer_in_its_batch_sees_it(programme: Programme) -> None:
    """Rights and settings are those of the new place."""
    account = programme.open(SALES)
    cancel = CancelAccount(account_id=account, reason=CancelReason.NOT_NEEDED)
    away = TransferAccount(account_id=account, control_account=LEGAL)

    outcomes = programme.ended(
        programme.delivery(away),
        programme.delivery(cancel, user(NORTH)),
        programme.delivery(cancel, user(LEGAL)),
    )

    assert [one.get("code") for one in outcomes] == [None, "not_found", None]
