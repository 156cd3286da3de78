"""Reads of users, companies and delegations. `_visible` and its like are the only ways to what a caller may see."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import orm

from services.identity.delegations import possible_borrowers, status_of
from services.identity.entitlements import entitlements_of, grants_of
from services.identity.model import Company, ControlAccount, Delegation, Grant, SecondFactor, User, change
from services.identity.own_accounts import own_accounts_of
from services.identity.rules import ROLES
from shared.contracts.base import Page
from shared.contracts.functions import functions, lendable_functions
from shared.contracts.history import FieldChange
from shared.contracts.identity import (
    Borrower,
    CompanyView,
    DelegationRow,
    DelegationStatus,
    FindUsers,
    FunctionView,
    GetCompany,
    GetCompanyHistory,
    GetUser,
    GetUserHistory,
    ListBorrowers,
    ListCompanies,
    ListDelegations,
    ListFunctions,
    ListRoles,
    RoleView,
    UserDetail,
    UserRow,
    UserStatus,
)
from shared.contracts.types import Language
from shared.errors import NotFound
from shared.history import history_page
from shared.messaging.transaction import Reader
from shared.web.paging import decode_cursor, page_of

T = TypeVar("T", User, Company, Delegation)


# For handlers, and for the gateway


def load_users(session: orm.Session, ids: Sequence[str]) -> dict[str, User]:
    """Return users by id, locked in id order."""
    return {user.id: user for user in session.scalars(_locked(User, User.id, ids))}


def load_companies(session: orm.Session, numbers: Sequence[str]) -> dict[str, Company]:
    """Return companies by number, locked in order of their numbers."""
    return {one.number: one for one in session.scalars(_locked(Company, Company.number, numbers))}


def load_delegations(session: orm.Session, ids: Sequence[str]) -> dict[str, Delegation]:
    """Return delegations by id, locked in id order."""
    return {one.id: one for one in session.scalars(_locked(Delegation, Delegation.id, ids))}


def _locked(model: type[T], key: Any, ids: Sequence[str]) -> sa.Select[T]:
    return sa.select(model).where(key.in_(ids)).order_by(key).with_for_update()


def places(kind: type[T], key: Any) -> Any:
    """Return a function that finds the control accounts above things of a kind, by their ids."""

    def find(session: orm.Session, ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        found = session.scalars(sa.select(kind).where(key.in_(ids)))
        return {getattr(one, key.key): one.control_path for one in found}

    return find


# Companies


def list_companies(query: ListCompanies, reader: Reader) -> Page[CompanyView]:
    """List the companies that the caller may see."""
    last = decode_cursor(query.cursor, str)
    statement = _companies(reader)
    if last:
        statement = statement.where(Company.number > last[0])
    found = reader.session.scalars(statement.order_by(Company.number).limit(query.limit + 1)).all()
    counts = _user_counts(reader.session, found)
    return page_of(found, query.limit, lambda one: _company(one, counts), lambda one: (one.number,))


def get_company(query: GetCompany, reader: Reader) -> CompanyView:
    """Return one company."""
    company = _one_company(query.company, reader)
    return _company(company, _user_counts(reader.session, [company]))


def get_company_history(query: GetCompanyHistory, reader: Reader) -> Page[FieldChange]:
    """Return every change of a company's settings."""
    number = _one_company(query.company, reader).number
    return history_page(reader, change, number, cursor=query.cursor, limit=query.limit)


def _one_company(number: str, reader: Reader) -> Company:
    company = reader.session.scalar(_companies(reader).where(Company.number == number))
    if company is None:
        raise NotFound("company", "company")
    return company


def _companies(reader: Reader) -> sa.Select[Company]:
    """Select the companies whose master control account is among the caller's; one's own is seen by everybody in it."""
    statement = sa.select(Company)
    if reader.control_accounts is None:
        return statement
    return statement.where(Company.number == (reader.actor.company or ""))


def _user_counts(session: orm.Session, companies: Sequence[Company]) -> dict[str | None, int]:
    counted = session.execute(
        sa.select(User.company, sa.func.count())
        .where(User.company.in_([one.number for one in companies]), User.status == UserStatus.ACTIVE)
        .group_by(User.company)
    )
    return {row[0]: row[1] for row in counted}


def _company(company: Company, counts: Mapping[str | None, int]) -> CompanyView:
    return CompanyView(
        number=company.number, name=company.name, control_account=company.control_account,
        language=Language(company.language), second_factor_required=company.second_factor_required,
        vouching_required=company.vouching_required, approvals=company.approvals.split(),
        users=counts.get(company.number, 0),
    )  # fmt: skip


# Users


def find_users(query: FindUsers, reader: Reader) -> Page[UserRow]:
    """Find the users who lie within the caller's control accounts, in order of name."""
    last = decode_cursor(query.cursor, str, str)
    statement = _visible(reader)
    for column in ("company", "status", "role"):
        wanted = getattr(query, column)
        if wanted is not None:
            statement = statement.where(getattr(User, column) == str(wanted))
    if query.name:
        statement = statement.where(
            sa.or_(
                User.name.icontains(query.name, autoescape=True),
                User.user_id.icontains(query.name, autoescape=True),
            )
        )
    if last:
        statement = statement.where(sa.tuple_(User.name, User.id) > sa.tuple_(*map(sa.literal, last)))
    found = reader.session.scalars(statement.order_by(User.name, User.id).limit(query.limit + 1)).all()
    numbers = _numbers(reader.session, [user.id for user in found])
    return page_of(found, query.limit, lambda user: _row(user, numbers), lambda user: (user.name, user.id))


def get_user(query: GetUser, reader: Reader) -> UserDetail:
    """Return one user with every entitlement."""
    user = _one_user(query.user, reader)
    factor = sa.exists().where(SecondFactor.user == user.id, SecondFactor.confirmed_at.is_not(None))
    grants = grants_of(reader.session, [user.id])[user.id]
    return UserDetail(
        user=user.id, user_id=user.user_id, name=user.name, company=user.company, role=user.role,
        status=UserStatus(user.status), vouched_for=user.vouched_for, email=user.email, phone=user.phone,
        language=Language(user.language), second_factor=bool(reader.session.scalar(sa.select(factor))),
        enrolled_at=user.enrolled_at, last_signed_in_at=user.last_signed_in_at,
        entitlements=entitlements_of(grants), own_accounts=sorted(own_accounts_of(reader.session, user.id)),
    )  # fmt: skip


def get_user_history(query: GetUserHistory, reader: Reader) -> Page[FieldChange]:
    """Return every change of a user's rights and data, the newest first (Part 2 no. 9)."""
    user = _one_user(query.user, reader)
    return history_page(reader, change, user.id, cursor=query.cursor, limit=query.limit)


def _one_user(id_: str, reader: Reader) -> User:
    user = reader.session.scalar(_visible(reader).where(User.id == id_))
    if user is None:
        raise NotFound("user", "user")
    return user


def _visible(reader: Reader) -> sa.Select[User]:
    """Select the users who lie wholly within the caller's control accounts."""
    return sa.select(User).where(_within(User.place, reader))


def _within(
    place: sa.ColumnElement[str] | orm.InstrumentedAttribute[str], reader: Reader
) -> sa.ColumnElement[bool]:
    """Return the condition that something lies at or below one of the caller's control accounts."""
    if reader.control_accounts is None:
        return sa.true()
    tops = reader.session.scalars(
        sa.select(ControlAccount.path).where(ControlAccount.number.in_(reader.control_accounts))
    ).all()
    below = [sa.or_(place == top, place.startswith(f"{top}/", autoescape=True)) for top in tops]
    return sa.or_(sa.false(), *below)


def _numbers(session: orm.Session, users: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {user: [] for user in users}
    granted = session.execute(
        sa.select(Grant.user, Grant.control_account).where(Grant.user.in_(users)).distinct()
    )
    for user, number in sorted((row.user, row.control_account) for row in granted):
        found[user].append(number)
    return found


def _row(user: User, numbers: Mapping[str, list[str]]) -> UserRow:
    return UserRow(
        user=user.id, user_id=user.user_id, name=user.name, company=user.company, role=user.role,
        status=UserStatus(user.status), control_accounts=numbers[user.id],
        last_signed_in_at=user.last_signed_in_at,
    )  # fmt: skip


# Delegations


def list_delegations(query: ListDelegations, reader: Reader) -> Page[DelegationRow]:
    """List who shares with whom: the caller's own, and those wholly within the caller's control accounts (IDN-07)."""
    last = decode_cursor(query.cursor, str)
    lender, borrower = orm.aliased(User), orm.aliased(User)
    me = sa.select(User.id).where(User.user_id == reader.actor.user_id).scalar_subquery()
    seen = sa.or_(Delegation.lender == me, Delegation.borrower == me, _within(Delegation.place, reader))
    statement = (
        sa.select(Delegation, lender, borrower)
        .join(lender, lender.id == Delegation.lender)
        .join(borrower, borrower.id == Delegation.borrower)
        .where(seen)
    )
    if query.status:
        statement = statement.where(_standing(query.status, reader))
    if last:
        statement = statement.where(Delegation.id < last[0])
    found = reader.session.execute(statement.order_by(Delegation.id.desc()).limit(query.limit + 1)).all()
    return page_of(
        found, query.limit, lambda row: _delegation(*row, reader), lambda row: (row.Delegation.id,)
    )


def _standing(status: DelegationStatus, reader: Reader) -> sa.ColumnElement[bool]:
    ended = sa.or_(Delegation.ended_at.is_not(None), Delegation.ends_at <= reader.now)
    begun = Delegation.starts_at <= reader.now
    if status is DelegationStatus.ENDED:
        return ended
    return sa.and_(~ended, begun if status is DelegationStatus.ACTIVE else ~begun)


def _delegation(one: Delegation, lender: User, borrower: User, reader: Reader) -> DelegationRow:
    return DelegationRow(
        delegation=one.id, company=one.company, lender=lender.user_id or "", lender_name=lender.name,
        borrower=borrower.user_id or "", borrower_name=borrower.name, functions=one.functions.split(),
        control_accounts=one.control_accounts.split(), starts_at=one.starts_at, ends_at=one.ends_at,
        until_return=one.until_return, status=status_of(one, reader.now), ended_at=one.ended_at,
        comment=one.comment,
    )  # fmt: skip


def list_borrowers(_: ListBorrowers, reader: Reader) -> Page[Borrower]:
    """List the colleagues who see every control account over which the caller holds something to lend."""
    me = reader.session.scalar(sa.select(User).where(User.user_id == reader.actor.user_id))
    numbers = set().union(*(reader.actor.control_accounts(one) for one in lendable_functions()))
    found = possible_borrowers(reader.session, me, numbers) if me and me.company and numbers else ()
    rows = [Borrower(user_id=one.user_id or "", name=one.name, role=one.role) for one in found]
    return Page(data=rows, has_more=False, next_cursor=None, total=len(rows))


# What can be granted


def list_roles(_: ListRoles, reader: Reader) -> Page[RoleView]:  # noqa: ARG001 - every query is called so
    """List the roles with their functions (IDN-06)."""
    rows = [
        RoleView(role=name, party=role.party, functions=sorted(role.functions))
        for name, role in ROLES.items()
    ]
    return Page(data=rows, has_more=False, next_cursor=None, total=len(rows))


def list_functions(_: ListFunctions, reader: Reader) -> Page[FunctionView]:  # noqa: ARG001
    """List every function, with the commands and reads that ask for it (IDN-05)."""
    lendable = lendable_functions()
    rows = [
        FunctionView(function=name, lendable=name in lendable, messages=sorted({c.name for c in contracts}))
        for name, contracts in functions().items()
    ]
    return Page(data=rows, has_more=False, next_cursor=None, total=len(rows))
