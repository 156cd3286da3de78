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
from services.accounts.tests.company import FIELD, LEGAL, MASTER, NORTH, NOW, SALES, Companies, opening, user
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


def test_the_nearest_control_account_decides_and_is_named(companies: Companies) -> None:
    companies.done(setting(MASTER, billing_cycle_day=5, liability=Liability.JOINT))
    companies.done(setting(NORTH, billing_cycle_day=7))

    sales, legal = companies.node(SALES), companies.node(LEGAL)

    assert (sales.settings.billing_cycle_day, sales.set_at["billing_cycle_day"]) == (7, NORTH)
    assert (sales.settings.liability, sales.set_at["liability"]) == (Liability.JOINT, MASTER)
    assert (sales.settings.renewal_months, sales.set_at["renewal_months"]) == (
        DEFAULT_SETTINGS.renewal_months,
        None,
    )
    assert (legal.settings.billing_cycle_day, legal.set_at["billing_cycle_day"]) == (5, MASTER)


def test_many_in_one_batch_are_all_set(companies: Companies) -> None:
    numbers = (MASTER, NORTH, SALES, FIELD, LEGAL)
    sent = [
        setting(number, employee_id=MANDATORY, products=[Product.CORPORATE_GOLD], billing_cycle_day=8)
        for number in numbers
    ]
    companies.outcomes(*map(companies.delivery, sent))
    for node in map(companies.node, numbers):
        assert node.version == 2
        for name in ("employee_id", "products", "billing_cycle_day"):
            assert node.set_at[name] == node.number
        assert (node.settings.employee_id, node.settings.billing_cycle_day) == (MANDATORY, 8)


def test_what_is_inherited_again_is_no_longer_set_here(companies: Companies) -> None:
    companies.done(setting(MASTER, products=[Product.CORPORATE_GOLD]))
    companies.done(setting(SALES, products=[Product.CORPORATE_PURCHASING, Product.CORPORATE_GREEN]))
    assert companies.node(SALES).settings.products == [Product.CORPORATE_GREEN, Product.CORPORATE_PURCHASING]

    companies.done(setting(SALES, inherit=[Setting.PRODUCTS]))

    sales = companies.node(SALES)
    assert (sales.settings.products, sales.set_at["products"]) == ([Product.CORPORATE_GOLD], MASTER)


def test_every_change_is_told_with_all_own_settings_and_stands_in_the_history(companies: Companies) -> None:
    companies.done(setting(SALES, employee_id=MANDATORY), PA)
    companies.done(
        setting(SALES, statement_option=StatementOption.PAPER_OFF, inherit=[Setting.EMPLOYEE_ID]), PA
    )

    first, second = companies.told(ControlAccountSettingsChanged)
    assert (first.employee_id, first.statement_option, first.version) == (MANDATORY, None, 2)
    assert (second.employee_id, second.statement_option, second.version) == (
        None,
        StatementOption.PAPER_OFF,
        3,
    )
    page = companies.read(GetControlAccountHistory(number=SALES), PA)
    told = [
        (one.field, one.old, one.new) for one in page.data if one.field in ("employee_id", "statement_option")
    ]
    assert sorted(told[:2]) == [("employee_id", "mandatory", None), ("statement_option", None, "paper_off")]
    assert told[2:] == [("employee_id", None, "mandatory")]


@pytest.mark.parametrize("name", Setting)
def test_a_companys_administrator_sets_only_what_is_the_companys(companies: Companies, name: Setting) -> None:
    given = {str(name): 1 if name.endswith(("day", "days", "months")) else next(iter(_values(name)))}
    if name in CLIENTS_SETTINGS:
        companies.done(setting(SALES, **given), PA)
    else:
        assert companies.refused(setting(SALES, **given), PA) == ("setting_is_the_issuers", name)
        assert companies.refused(setting(SALES, inherit=[name]), PA) == ("setting_is_the_issuers", name)


def _values(name: Setting) -> Any:
    value = getattr(DEFAULT_SETTINGS, name)
    if isinstance(value, list):
        return [[Product.CORPORATE_GOLD]]
    return type(value) if isinstance(value, Enum) else ["GBP"]


def test_statements_are_delivered_alike_below_a_basic_control_account(companies: Companies) -> None:
    """STM-04: at once, once the terms are accepted, and never for one holder alone."""
    off = StatementOption.PAPER_OFF
    assert companies.refused(delivery(SALES, off, terms_accepted=False), PA) == (
        "terms_not_accepted",
        "terms_accepted",
    )
    assert companies.refused(delivery(NORTH, off), PA) == ("not_basic", "number")
    companies.done(delivery(SALES, off), PA)
    assert companies.refused(delivery(SALES, off), PA) == ("delivered_so_already", "option")

    node = companies.node(SALES)
    assert (node.settings.statement_option, node.set_at["statement_option"]) == (off, SALES)
    (told,) = companies.told(StatementDeliveryChanged)
    assert (told.number, told.option, told.former, told.version) == (
        SALES,
        off,
        StatementOption.PAPER_ON,
        node.version,
    )


def delivery(number: str, option: StatementOption, *, terms_accepted: bool = True) -> ChangeStatementDelivery:
    return ChangeStatementDelivery(number=number, option=option, terms_accepted=terms_accepted)


def test_what_makes_no_sense_is_refused(companies: Companies) -> None:
    assert companies.refused(setting(SALES)) == ("nothing_to_change", None)
    both = setting(SALES, billing_cycle_day=3, inherit=[Setting.BILLING_CYCLE_DAY])
    assert companies.refused(both) == ("set_and_inherited", "billing_cycle_day")
    assert companies.refused(setting(SALES, employee_id=ABSENT), user(LEGAL)) == ("not_found", "number")


def test_a_control_account_is_opened_with_settings(companies: Companies) -> None:
    number = "100000000000013"
    opened = OpenControlAccount(
        number=number, name="New", level=Level.BASIC, parent=NORTH, billing_cycle_day=9
    )
    companies.done(opened)
    assert companies.node(number).set_at["billing_cycle_day"] == number
    (told,) = companies.told(ControlAccountSettingsChanged)
    assert (told.number, told.billing_cycle_day, told.version) == (number, 9, 1)


def test_an_account_is_opened_only_as_its_control_account_wants_it(companies: Companies) -> None:
    companies.done(
        setting(NORTH, products=[Product.CORPORATE_GREEN], employee_id=MANDATORY, cost_centre=ABSENT)
    )
    green = {"product": Product.CORPORATE_GREEN, "employee_id": "E1"}

    assert companies.refused(opening(employee_id="E1")) == ("product_not_allowed", "product")
    assert companies.refused(opening(product=Product.CORPORATE_GREEN)) == ("field_mandatory", "employee_id")
    assert companies.refused(opening(**green, cost_centre="C1")) == ("field_absent", "cost_centre")
    companies.new_account(**green)
    companies.new_account(LEGAL, cost_centre="C1")


def test_accounting_fields_fit_the_control_account(companies: Companies) -> None:
    """ACC-16: the one that is wrong is named."""
    account = companies.new_account(employee_id="E1", universal_number="U1")
    companies.done(setting(NORTH, employee_id=MANDATORY, cost_centre=ABSENT), PA)

    assert companies.refused(ChangeAccounting(account_id=account, cost_centre="C"), PA) == (
        "field_absent",
        "cost_centre",
    )
    emptied = ChangeAccounting(account_id=account, clear=[AccountingField.EMPLOYEE_ID])
    assert companies.refused(emptied, PA) == ("field_mandatory", "employee_id")
    companies.done(
        ChangeAccounting(account_id=account, employee_id="E2", clear=[AccountingField.UNIVERSAL_NUMBER]), PA
    )

    stored = companies.account(account)
    assert (stored.employee_id, stored.cost_centre, stored.universal_number) == ("E2", None, None)


def test_the_nearest_cap_holds_for_a_suspension(companies: Companies) -> None:
    """ACC-14; several in one batch, each with the cap of its own control account."""
    companies.done(setting(MASTER, suspension_cap_days=30))
    companies.done(setting(FIELD, suspension_cap_days=60))
    sales, field_ = companies.new_account(SALES), companies.new_account(FIELD)

    def suspension(account: str, days: int) -> Any:
        ends = NOW + timedelta(days=days)
        return companies.delivery(SuspendAccount(account_id=account, ends_at=ends), PA)

    outcomes = companies.outcomes(
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


def test_a_batch_asks_for_all_its_settings_at_once(companies: Companies) -> None:
    """However many accounts, under however many control accounts; who suspends nothing asks for none."""
    here = [companies.new_account(number) for number in (SALES, FIELD, LEGAL, SALES)]
    asked: list[str] = []

    def note(*given: Any) -> None:
        if "FROM control_account" in given[2]:
            asked.append(given[2])

    for engine in companies.database.engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    outcomes = companies.outcomes(*(companies.delivery(SuspendAccount(account_id=one), PA) for one in here))
    assert [one["ended"] for one in outcomes] == ["completed"] * 4
    assert len(asked) == 1
    companies.outcomes(
        *(
            companies.delivery(CancelAccount(account_id=one, reason=CancelReason.NOT_NEEDED), PA)
            for one in here
        )
    )
    assert len(asked) == 1


def test_a_card_is_good_for_the_renewal_period_of_its_control_account(companies: Companies) -> None:
    companies.done(setting(MASTER, renewal_months=24))
    companies.done(setting(LEGAL, renewal_months=6))
    for number, months in ((SALES, 24), (LEGAL, 6)):
        account = companies.new_account(number)
        assert companies.read(GetAccount(account_id=account)).expires_on == card_expiry(NOW.date(), months)
