"""The declaration of the identity service."""

from datetime import timedelta
from pathlib import Path

from services.identity import jobs, queries, reactions
from services.identity.api import make_endpoints
from services.identity.handlers import companies, contact, delegations, entitlements, own_accounts, users
from services.identity.history import record_company, record_user
from services.identity.inactivity import deactivate_unused
from services.identity.model import Base, Company, Delegation, User
from services.identity.password_reset import answer_resets, forget_resets
from shared.contracts import identity as language
from shared.contracts.accounts import AccountTransferred
from shared.contracts.structure import ControlAccountMoved, ControlAccountOpened
from shared.messaging.transaction import Aggregate
from shared.service import Job, Service

service = Service(
    name="identity",
    metadata=Base.metadata,
    migrations=Path(__file__).parent / "migrations",
    handlers={
        language.EnrolCompany: companies.enrol_company,
        language.ConfigureCompany: companies.configure_company,
        language.EnrolUser: users.enrol_new_user,
        language.ReissueAccessCode: users.reissue_access_code,
        language.VouchForUser: users.vouch_for_user,
        language.ChangeEntitlements: entitlements.change_entitlements,
        language.DeactivateUser: users.deactivate_user,
        language.ReactivateUser: users.reactivate_user,
        language.RemoveSecondFactor: users.remove_second_factor,
        language.ChangeContact: contact.change_contact,
        language.ChangeOwnContact: contact.change_own_contact,
        language.GiveCardAccount: own_accounts.give_card_account,
        language.TakeCardAccount: own_accounts.take_card_account,
        language.LendFunctions: delegations.lend_functions,
        language.RevokeDelegation: delegations.revoke_delegation,
    },
    reactions={
        ControlAccountOpened: reactions.note_control_account,
        ControlAccountMoved: reactions.follow_control_account,
        AccountTransferred: reactions.follow_transfer,
    },
    queries={
        language.ListCompanies: queries.list_companies,
        language.GetCompany: queries.get_company,
        language.GetCompanyHistory: queries.get_company_history,
        language.FindUsers: queries.find_users,
        language.GetUser: queries.get_user,
        language.GetUserHistory: queries.get_user_history,
        language.ListDelegations: queries.list_delegations,
        language.ListBorrowers: queries.list_borrowers,
        language.ListRoles: queries.list_roles,
        language.ListFunctions: queries.list_functions,
    },
    aggregates={
        "user": Aggregate(model=User, noun="user", load=queries.load_users, record=record_user),
        "company": Aggregate(
            model=Company, noun="company", load=queries.load_companies, record=record_company
        ),
        "delegation": Aggregate(model=Delegation, noun="delegation", load=queries.load_delegations),
    },
    jobs=(
        Job(name="end-delegations", every=timedelta(seconds=30), run=jobs.end_delegations),
        Job(name="answer-password-resets", every=timedelta(seconds=1), run=answer_resets),
        Job(name="deactivate-unused-users", every=timedelta(hours=1), run=deactivate_unused),
        Job(name="forget-password-resets", every=timedelta(minutes=10), run=forget_resets),
        Job(name="forget-devices", every=timedelta(hours=1), run=jobs.forget_devices),
        Job(name="forget-access-codes", every=timedelta(hours=1), run=jobs.forget_access_codes),
    ),
    endpoints=make_endpoints,
    places={
        "user": queries.places(User, User.id),
        "company": queries.places(Company, Company.number),
        "delegation": queries.places(Delegation, Delegation.id),
    },
)
