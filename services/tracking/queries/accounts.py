"""Finds which card accounts fit what a search asks of the account that a request is about (TRK-02).

Accounts are found by the index of what is asked for, or by that of the control accounts that they lie under, whichever is
less to look through.
"""

from functools import cache, partial

import sqlalchemy as sa

from services.tracking.model import LEVELS, account, control_account
from services.tracking.queries.criteria import OF_ACCOUNT
from services.tracking.queries.scope import Condition, Scope, granted_at, is_given, passes
from shared.database import given_values, literally

Criteria = frozenset[str]
# So many can be listed before any request is looked at.
SOME = 10_000


@cache
def number_that_fit(criteria: Criteria) -> sa.Select[int]:
    """Select how many accounts there are, anybody's, that fit the first criterion, counted as far as they can be listed."""
    found = sa.union_all(*(sa.select(account.c.account_id).where(each) for each in _first(criteria)))
    counted = sa.select(found.subquery()).limit(literally(SOME + 1)).subquery()
    return sa.select(sa.func.count()).select_from(counted)


@cache
def that_fit(criteria: Criteria, scope: Scope, *, are_some: bool, most: int) -> sa.Select[str]:
    """Select the accounts that fit, as far as the caller may see them, and no more than one too many.

    ``are_some`` is whether so few fit, anybody's, that they are listed and then asked where they lie.
    """
    if are_some or scope.levels is None:
        found = _listed(criteria, _under(scope)).subquery()
        return sa.select(found.c.account_id).limit(literally(most + 1))
    # The index of those below a control account has the names too; a name may be that of a third of all holders.
    wanted = passes(sa.and_(*_conditions(criteria)))
    return sa.select(account.c.account_id).where(*_under(scope), wanted).limit(literally(most + 1))


def fits(about: sa.FromClause, criteria: Criteria, scope: Scope | None, *, are_some: bool) -> list[Condition]:
    """Return the condition that the account of a request fits; none where nothing is asked of it.

    With a scope, an account that has left it never fits: its holder is nobody's business there any more. Some are listed
    once, among more each is looked up: as a value, as `exists` would be turned into a join, and often into one with every
    account that fits.
    """
    if not criteria:
        return []
    under = _under(scope)
    if are_some:
        return [passes(about.c.account_id.in_(_listed(criteria, under)))]
    found = sa.select(account.c.account_id).where(
        account.c.account_id == about.c.account_id, *_conditions(criteria), *map(passes, under)
    )
    return [found.scalar_subquery().is_not(None)]


def _listed(criteria: Criteria, conditions: list[Condition]) -> sa.CompoundSelect[str]:
    """Select the accounts that fit, found by the first criterion."""
    _, *others = _conditions(criteria)
    wanted = [passes(sa.and_(*others, *conditions))] if others or conditions else []
    return sa.union(*(sa.select(account.c.account_id).where(each, *wanted) for each in _first(criteria)))


def _conditions(criteria: Criteria) -> list[Condition]:
    return [sa.or_(*OF_ACCOUNT[name]) for name in OF_ACCOUNT if name in criteria]


def _first(criteria: Criteria) -> tuple[Condition, ...]:
    """Return the conditions, each with an index, that together make up the first criterion."""
    return next(conditions for name, conditions in OF_ACCOUNT.items() if name in criteria)


def _under(scope: Scope | None) -> list[Condition]:
    """Return the condition that an account lies in a scope; none where it may lie anywhere."""
    if scope is None or scope.levels is None:
        return []
    return [account.c.basic.in_(_at_or_below(scope))]


def _at_or_below(scope: Scope) -> sa.CompoundSelect[str]:
    """Select the caller's control accounts and all below them, which are those of one or two levels further down."""
    node, above = control_account.alias(), control_account.alias()
    parts: list[sa.Select[str]] = [sa.select(node.c.number).where(sa.false())]  # who has none sees nothing
    for level in scope.levels or ():
        granted = partial(is_given, name=granted_at(level), postgresql=scope.postgresql)
        below = sa.select(node.c.number)
        two_below = below.join(above, above.c.number == node.c.parent)
        under = (below.where(granted(node.c.parent)), two_below.where(granted(above.c.parent)))
        themselves = given_values(granted_at(level), postgresql_=scope.postgresql)
        parts += (themselves, *under[: len(LEVELS) - 1 - LEVELS.index(level)])
    return sa.union_all(*parts)
