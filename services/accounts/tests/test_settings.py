"""What is set on a control account holds there and below, until something nearer sets it otherwise (PRG-02, Part 2 no. 18)."""

from dataclasses import asdict
from datetime import timedelta
from enum import Enum
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from services.accounts.model import ControlAccount
from services.accounts.rules import CLIENTS_SETTINGS, card_expiry
from services.accounts.settings import effect_of, set_own
from services.accounts.tests.programme import (
    FIELD,
    LEGAL,
    MASTER,
    NORTH,
    SALES,
    START,
    Programme,
    opening,
    user,
)
from shared.contracts.accounts import (
    AccountingField,
    CancelAccount,
    CancelReason,
    ChangeAccounting,
    GetAccount,
    Product,
    SuspendAccount,
)
from shared.contracts.structure import (
    DEFAULT_SETTINGS,
    ChangeControlAccountSettings,
    ChangeStatementDelivery,
    ControlAccountSettingsChanged,
    FieldUse,
    GetControlAccountHistory,
    Level,
    Liability,
    OpenControlAccount,
    Setting,
    StatementDeliveryChanged,
    StatementOption,
)
from tests.contracts.strategies import instances

PA = user(MASTER)
MANDATORY, ABSENT = FieldUse.MANDATORY, FieldUse.ABSENT


def setting(number: str, **settings: Any) -> ChangeControlAccountSettings:
    return ChangeControlAccountSettings(number=number, **settings)


def test_the_nearest_control_account_decides_and_is_named(programme: Programme) -> None:
    programme.done(setting(MASTER, billing_cycle_day=5, liability=Liability.JOINT))
    programme.done(setting(NORTH, billing_cycle_day=7))

    sales, legal = programme.node(SALES), programme.node(LEGAL)

    assert (sales.settings.billing_cycle_day, sales.set_at["billing_cycle_day"]) == (7, NORTH)
    assert (sales.settings.liability, sales.set_at["liability"]) == (Liability.JOINT, MASTER)
    assert (sales.settings.renewal_months, sales.set_at["renewal_months"]) == (
        DEFAULT_SETTINGS.renewal_months,
        None,
    )
    assert (legal.settings.billing_cycle_day, legal.set_at["billing_cycle_day"]) == (5, MASTER)


def test_many_in_one_batch_are_all_set(programme: Programme) -> None:
    numbers = (MASTER, NORTH, SALES, FIELD, LEGAL)
    sent = [
        setting(number, employee_id=MANDATORY, products=[Product.CORPORATE_GOLD], billing_cycle_day=8)
        for number in numbers
    ]
    programme.ended(*map(programme.delivery, sent))
    for node in map(programme.node, numbers):
        assert node.version == 2
        for name in ("employee_id", "products", "billing_cycle_day"):
            assert node.set_at[name] == node.number
        assert (node.settings.employee_id, node.settings.billing_cycle_day) == (MANDATORY, 8)


def test_what_is_inherited_again_is_no_longer_set_here(programme: Programme) -> None:
    programme.done(setting(MASTER, products=[Product.CORPORATE_GOLD]))
    programme.done(setting(SALES, products=[Product.CORPORATE_PURCHASING, Product.CORPORATE_GREEN]))
    assert programme.node(SALES).settings.products == [Product.CORPORATE_GREEN, Product.CORPORATE_PURCHASING]

    programme.done(setting(SALES, inherit=[Setting.PRODUCTS]))

    sales = programme.node(SALES)
    assert (sales.settings.products, sales.set_at["products"]) == ([Product.CORPORATE_GOLD], MASTER)


def test_every_change_is_told_with_all_own_settings_and_stands_in_the_history(programme: Programme) -> None:
    programme.done(setting(SALES, employee_id=MANDATORY), PA)
    programme.done(setting(SALES, statement_option=StatementOption.PAPER_OFF, inherit=[Setting.EMPLOYEE_ID]))

    first, second = programme.told(ControlAccountSettingsChanged)
    assert (first.employee_id, first.statement_option, first.version) == (MANDATORY, None, 2)
    assert (second.employee_id, second.statement_option, second.version) == (
        None,
        StatementOption.PAPER_OFF,
        3,
    )
    page = programme.read(GetControlAccountHistory(number=SALES), PA)
    told = [
        (one.field, one.old, one.new) for one in page.data if one.field in ("employee_id", "statement_option")
    ]
    assert sorted(told[:2]) == [("employee_id", "mandatory", None), ("statement_option", None, "paper_off")]
    assert told[2:] == [("employee_id", None, "mandatory")]


@pytest.mark.parametrize("name", Setting)
def test_a_companys_administrator_sets_only_what_is_the_companys(programme: Programme, name: Setting) -> None:
    given = {str(name): 1 if name.endswith(("day", "days", "months")) else next(iter(_values(name)))}
    if name in CLIENTS_SETTINGS:
        programme.done(setting(SALES, **given), PA)
    else:
        assert programme.refused(setting(SALES, **given), PA) == ("setting_is_the_issuers", name)
        assert programme.refused(setting(SALES, inherit=[name]), PA) == ("setting_is_the_issuers", name)


def _values(name: Setting) -> Any:
    value = getattr(DEFAULT_SETTINGS, name)
    if isinstance(value, list):
        return [[Product.CORPORATE_GOLD]]
    return type(value) if isinstance(value, Enum) else ["GBP"]


def test_statements_are_delivered_alike_below_a_basic_control_account(programme: Programme) -> None:
    """STM-04: at once, once the terms are accepted, and never for one holder alone."""
    off = StatementOption.PAPER_OFF
    assert programme.refused(delivery(SALES, off, terms_accepted=False), PA) == (
        "terms_not_accepted",
        "terms_accepted",
    )
    assert programme.refused(delivery(NORTH, off), PA) == ("not_basic", "number")
    programme.done(delivery(SALES, off), PA)
    assert programme.refused(delivery(SALES, off), PA) == ("delivered_so_already", "option")

    node = programme.node(SALES)
    assert (node.settings.statement_option, node.set_at["statement_option"]) == (off, SALES)
    (told,) = programme.told(StatementDeliveryChanged)
    assert (told.number, told.option, told.former, told.version) == (
        SALES,
        off,
        StatementOption.PAPER_ON,
        node.version,
    )


def delivery(number: str, option: StatementOption, *, terms_accepted: bool = True) -> ChangeStatementDelivery:
    return ChangeStatementDelivery(number=number, option=option, terms_accepted=terms_accepted)


def test_what_makes_no_sense_is_refused(programme: Programme) -> None:
    assert programme.refused(setting(SALES)) == ("nothing_to_change", None)
    both = setting(SALES, billing_cycle_day=3, inherit=[Setting.BILLING_CYCLE_DAY])
    assert programme.refused(both) == ("set_and_inherited", "billing_cycle_day")
    assert programme.refused(setting(SALES, employee_id=ABSENT), user(LEGAL)) == ("not_found", "number")


def test_a_control_account_is_opened_with_settings(programme: Programme) -> None:
    number = "100000000000013"
    opened = OpenControlAccount(
        number=number, name="New", level=Level.BASIC, parent=NORTH, billing_cycle_day=9
    )
    programme.done(opened)
    assert programme.node(number).set_at["billing_cycle_day"] == number
    (told,) = programme.told(ControlAccountSettingsChanged)
    assert (told.number, told.billing_cycle_day, told.version) == (number, 9, 1)


def test_an_account_is_opened_only_as_its_control_account_wants_it(programme: Programme) -> None:
    programme.done(
        setting(NORTH, products=[Product.CORPORATE_GREEN], employee_id=MANDATORY, cost_centre=ABSENT)
    )
    green = {"product": Product.CORPORATE_GREEN, "employee_id": "E1"}

    assert programme.refused(opening(employee_id="E1")) == ("product_not_allowed", "product")
    assert programme.refused(opening(product=Product.CORPORATE_GREEN)) == ("field_mandatory", "employee_id")
    assert programme.refused(opening(**green, cost_centre="C1")) == ("field_absent", "cost_centre")
    programme.open(**green)
    programme.open(LEGAL, cost_centre="C1")


def test_accounting_fields_fit_the_control_account(programme: Programme) -> None:
    """ACC-16: the one that is wrong is named."""
    account = programme.open(employee_id="E1", universal_number="U1")
    programme.done(setting(NORTH, employee_id=MANDATORY, cost_centre=ABSENT), PA)

    assert programme.refused(ChangeAccounting(account_id=account, cost_centre="C"), PA) == (
        "field_absent",
        "cost_centre",
    )
    emptied = ChangeAccounting(account_id=account, clear=[AccountingField.EMPLOYEE_ID])
    assert programme.refused(emptied, PA) == ("field_mandatory", "employee_id")
    programme.done(
        ChangeAccounting(account_id=account, employee_id="E2", clear=[AccountingField.UNIVERSAL_NUMBER]), PA
    )

    stored = programme.account(account)
    assert (stored.employee_id, stored.cost_centre, stored.universal_number) == ("E2", None, None)


def test_the_nearest_cap_holds_for_a_suspension(programme: Programme) -> None:
    """ACC-14; several in one batch, each with the cap of its own control account."""
    programme.done(setting(MASTER, suspension_cap_days=30))
    programme.done(setting(FIELD, suspension_cap_days=60))
    sales, field_ = programme.open(SALES), programme.open(FIELD)

    def suspension(account: str, days: int) -> Any:
        ends = START + timedelta(days=days)
        return programme.delivery(SuspendAccount(account_id=account, ends_at=ends), PA)

    outcomes = programme.ended(
        suspension(sales, 31), suspension(field_, 61), suspension(sales, 30), suspension(field_, 60)
    )

    assert [one.get("code") for one in outcomes] == ["suspension_too_long"] * 2 + [None] * 2


_OWN = st.lists(instances(ControlAccountSettingsChanged), min_size=1, max_size=3)


@given(levels=_OWN)
def test_each_setting_is_the_last_one_set_on_the_way_down(
    levels: list[ControlAccountSettingsChanged],
) -> None:
    path = []
    for place, own in enumerate(levels):
        node = ControlAccount(number=str(place))
        set_own(node, {name: getattr(own, name) for name in Setting})
        path.append(node)

    effect = effect_of(path)

    for name, value in asdict(effect.settings).items():
        setters = [place for place, own in enumerate(levels) if getattr(own, name) is not None]
        assert effect.set_at[name] == (str(setters[-1]) if setters else None)
        wanted = getattr(levels[setters[-1]], name) if setters else getattr(DEFAULT_SETTINGS, name)
        assert (set(value) == set(wanted)) if isinstance(value, list) else (value == wanted)


def test_a_batch_asks_for_all_its_settings_at_once(programme: Programme) -> None:
    """However many accounts, under however many control accounts; who suspends nothing asks for none."""
    here = [programme.open(number) for number in (SALES, FIELD, LEGAL, SALES)]
    asked: list[str] = []

    def note(*given: Any) -> None:
        if "FROM control_account" in given[2]:
            asked.append(given[2])

    for engine in programme.database.engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    outcomes = programme.ended(*(programme.delivery(SuspendAccount(account_id=one), PA) for one in here))
    assert [one["ended"] for one in outcomes] == ["completed"] * 4
    assert len(asked) == 1
    programme.ended(
        *(
            programme.delivery(CancelAccount(account_id=one, reason=CancelReason.NOT_NEEDED), PA)
            for one in here
        )
    )
    assert len(asked) == 1


def test_a_card_is_good_for_the_renewal_period_of_its_control_account(programme: Programme) -> None:
    programme.done(setting(MASTER, renewal_months=24))
    programme.done(setting(LEGAL, renewal_months=6))
    for number, months in ((SALES, 24), (LEGAL, 6)):
        account = programme.open(number)
        assert programme.read(GetAccount(account_id=account)).expires_on == card_expiry(START.date(), months)
