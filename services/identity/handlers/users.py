"""Users: how they come, go, and come back."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.identity.enrolment import company_name, enrol_user
from services.identity.entitlements import check_own, places_of, user_to_change
from services.identity.first_sign_in import issue_access_code
from services.identity.model import Company, User
from services.identity.own_accounts import check_to_give, placed_accounts, tell_of_own_accounts
from services.identity.rules import Role, role_named
from services.identity.second_factor import remove_second_factor as remove_factor
from services.identity.sessions import revoke_sessions_of
from shared.actor import EVERYWHERE, Party
from shared.contracts.identity import (
    DeactivateUser,
    EnrolUser,
    ReactivateUser,
    ReissueAccessCode,
    RemoveSecondFactor,
    SecondFactorChanged,
    UserDeactivated,
    UserInvited,
    UserReactivated,
    UserStatus,
    VouchForUser,
)
from shared.contracts.types import Language
from shared.errors import NotFound, Rejected
from shared.messaging.transaction import Transaction
from shared.sealing import seal_of


def enrol_new_user(command: EnrolUser, tx: Transaction) -> dict[str, Any]:
    """Enrol a user and, unless somebody has to vouch first, mail the access code (IDN-01, IDN-02)."""
    role = role_named(command.role)
    company = _company_of(command, role.party, tx)
    own = _own_accounts_of(command, role, company, tx)
    control_accounts = sorted(set(own.values())) if own else _control_accounts_of(command, company, tx)
    user = enrol_user(
        tx.session, name=command.name, party=role.party, company=command.company, role=command.role,
        control_accounts=control_accounts, own_accounts=own, email=command.email, phone=command.phone,
        language=command.language or Language(company.language if company else Language.ENGLISH),
        vouched_for=not (company and company.vouching_required), now=tx.now,
    )  # fmt: skip
    tx.add(user)
    if own:
        tell_of_own_accounts(user, before=(), given=own, taken=(), tx=tx)
    _invite(user, _opened(command.secret_phrase, tx), tx)
    return {"user": user.id}


def _company_of(command: EnrolUser, party: Party, tx: Transaction) -> Company | None:
    if party is Party.ISSUER:
        if command.company or command.control_accounts:
            raise Rejected("company_not_allowed", "The issuer's own people belong to no company.", "company")
        if not tx.actor.everywhere(tx.function or ""):
            raise Rejected("function_not_granted", "You may not enrol the issuer's own people.", "role")
        check_own(tx, role_named(command.role).functions, "role")
        return None
    if not command.company:
        raise Rejected(
            "company_required", f"A user with the role {command.role} belongs to a company.", "company"
        )
    return tx.one(Company, command.company, "company")


def _own_accounts_of(
    command: EnrolUser, role: Role, company: Company | None, tx: Transaction
) -> Mapping[str, str]:
    """Return the card accounts that the new user holds, each with its control account; none but for a holder."""
    field = "account_ids"
    if not role.holds or company is None:
        if command.account_ids:
            raise Rejected(
                "account_not_allowed", f"A user with the role {command.role} holds no card account.", field
            )
        return {}
    if not command.account_ids:
        raise Rejected("account_required", "Say which card accounts the user holds.", field)
    if command.control_accounts:
        raise Rejected(
            "control_account_not_allowed", "A holder works over no control account.", "control_accounts"
        )
    accounts = placed_accounts(command.account_ids, tx, field)
    check_to_give(accounts, company, tx, field)
    return accounts


def _control_accounts_of(command: EnrolUser, company: Company | None, tx: Transaction) -> list[str]:
    if company is None:
        return [EVERYWHERE]
    if not command.control_accounts:
        raise Rejected(
            "control_account_required", "Say over which control accounts the user works.", "control_accounts"
        )
    for path in places_of(tx.session, command.control_accounts, until_commit=True).values():
        if path.partition("/")[0] != company.control_account:
            raise Rejected(
                "wrong_company", "These control accounts do not belong to the company.", "control_accounts"
            )
        if not tx.actor.covers(tx.function or "", path.split("/")):
            raise NotFound("control account", "control_accounts")
    return command.control_accounts


def reissue_access_code(command: ReissueAccessCode, tx: Transaction) -> None:
    """Mail another access code; the one before is worth nothing any more (IDN-02)."""
    user = user_to_change(command.user, tx)
    user.must_be(UserStatus.INVITED)
    if not user.vouched_for:
        raise Rejected(
            "not_vouched_for", "An identity voucher of the company has to confirm this user first.", "user"
        )
    _invite(user, _opened(command.secret_phrase, tx), tx)


def vouch_for_user(command: VouchForUser, tx: Transaction) -> None:
    """Note that somebody confirmed who a new user is, and mail the access code (IDN-06)."""
    user = user_to_change(command.user, tx)
    user.must_be(UserStatus.INVITED)
    if user.vouched_for:
        raise Rejected("already_vouched_for", "Nobody has to vouch for this user any more.", "user")
    user.vouched_for = True
    _invite(user, None, tx)


def _invite(user: User, phrase: str | None, tx: Transaction) -> None:
    code = issue_access_code(tx.session, user, phrase=phrase, now=tx.now, settings=tx.settings)
    if user.vouched_for:
        tx.publish(
            UserInvited(
                user=user.id,
                company=user.company,
                company_name=company_name(tx.session, user),
                recipient=user.recipient,
                access_code=seal_of(tx.settings).close(code),
                expires_at=tx.now + timedelta(days=tx.settings.access_code_days),
            ),
            subject=user.id,
        )


def deactivate_user(command: DeactivateUser, tx: Transaction) -> None:
    """Keep a user out and end every session at once."""
    user = user_to_change(command.user, tx)
    if user.user_id == tx.actor.user_id:
        raise Rejected("own_user", "Nobody deactivates themselves.", "user")
    if user.status == UserStatus.INACTIVE:
        raise Rejected("user_is_inactive", "This user is inactive already.", "user")
    user.status = UserStatus.INACTIVE
    revoke_sessions_of(tx.session, user.id, tx.now)
    tx.publish(UserDeactivated(user=user.id, company=user.company, reason="asked"), subject=user.id)


def reactivate_user(command: ReactivateUser, tx: Transaction) -> None:
    """Let an inactive user in again; the days without sign-in count anew (IDN-04)."""
    user = user_to_change(command.user, tx)
    user.must_be(UserStatus.INACTIVE)
    if user.user_id:
        user.begin_activity(tx.now)
    else:
        user.status = UserStatus.INVITED
    tx.publish(UserReactivated(user=user.id, company=user.company), subject=user.id)


def remove_second_factor(command: RemoveSecondFactor, tx: Transaction) -> None:
    """Take the second factor from a user who has lost it; every session ends."""
    user = user_to_change(command.user, tx)
    if not remove_factor(tx.session, user.id):
        raise Rejected("no_second_factor", "This user has no second factor.", "user")
    revoke_sessions_of(tx.session, user.id, tx.now)
    tx.publish(SecondFactorChanged(user=user.id, present=False, recipient=user.recipient), subject=user.id)


def _opened(phrase: str | None, tx: Transaction) -> str | None:
    return None if phrase is None else seal_of(tx.settings).open(phrase)
