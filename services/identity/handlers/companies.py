"""Companies: how they come, and what they demand of their users."""

from typing import Any

import sqlalchemy as sa

from services.identity.model import Company, ControlAccount
from services.identity.rules import approvable_commands
from shared.contracts.identity import CompanyConfigured, CompanyEnrolled, ConfigureCompany, EnrolCompany
from shared.errors import NotFound, Rejected
from shared.messaging.transaction import Transaction


def enrol_company(command: EnrolCompany, tx: Transaction) -> dict[str, Any]:
    """Enrol a client company with its master control account (IDN-01)."""
    if tx.session.get(Company, command.number):
        raise Rejected("company_known", f"A company {command.number} is enrolled already.", "number")
    node = tx.session.get(ControlAccount, command.control_account)
    if node is None:
        raise NotFound("control account", "control_account")
    if node.path != node.number:
        raise Rejected(
            "not_a_master_control_account",
            "A company is enrolled with its master control account.",
            "control_account",
        )
    if tx.session.scalar(sa.select(Company.number).where(Company.control_account == node.number)):
        raise Rejected(
            "control_account_taken",
            "Another company is enrolled with this control account.",
            "control_account",
        )
    company = Company(
        number=command.number, name=command.name, control_account=command.control_account,
        language=command.language, second_factor_required=False, vouching_required=False, approvals="",
        enrolled_at=tx.now,
    )  # fmt: skip
    tx.add(company)
    tx.session.flush()  # its users may be enrolled in the same batch
    tx.publish(
        CompanyEnrolled(company=company.number, name=company.name, control_account=company.control_account),
        subject=company.number,
    )
    return {"company": company.number}


def configure_company(command: ConfigureCompany, tx: Transaction) -> None:
    """Set what a company demands of its users, and which commands a second person approves (Part 2 no. 6)."""
    company = tx.one(Company, command.company, "company")
    unknown = sorted(set(command.approvals or ()) - approvable_commands())
    if unknown:
        raise Rejected(
            "cannot_be_approved",
            f"These are no commands that can wait for approval: {', '.join(unknown)}.",
            "approvals",
        )
    if command.second_factor_required is not None:
        company.second_factor_required = command.second_factor_required
    if command.vouching_required is not None:
        company.vouching_required = command.vouching_required
    if command.approvals is not None:
        company.approvals = " ".join(sorted(set(command.approvals)))
    tx.publish(
        CompanyConfigured(
            company=company.number,
            second_factor_required=company.second_factor_required,
            vouching_required=company.vouching_required,
            approvals=company.approvals.split(),
        ),
        subject=company.number,
    )
