"""The declaration of the statements service."""

from datetime import timedelta
from pathlib import Path

from services.statements import reactions
from services.statements.api import file_endpoints
from services.statements.exports import handlers as export_handlers
from services.statements.exports import making
from services.statements.exports import queries as export_queries
from services.statements.handlers import arrears, coding, correction, posting
from services.statements.imports import forgetting, looking_again
from services.statements.imports import handlers as import_handlers
from services.statements.imports import posting as import_posting
from services.statements.imports import queries as import_queries
from services.statements.imports.suspense import MATCH_SUSPENSE
from services.statements.jobs import closing, delivery, standings
from services.statements.ledger import TELL_STANDINGS
from services.statements.model import metadata
from services.statements.queries import scope, standing, statements, transactions
from shared.contracts import accounts as account_contracts
from shared.contracts import cards as card_contracts
from shared.contracts import imports as import_contracts
from shared.contracts import reconciliation
from shared.contracts import statements as language
from shared.contracts import structure as structure_contracts
from shared.service import Errand, Job, Service

service = Service(
    name="statements",
    metadata=metadata,
    migrations=Path(__file__).parent / "migrations",
    handlers={
        language.PostTransactions: posting.post_transactions,
        language.PostPayments: posting.post_payments,
        language.CorrectTransaction: correction.correct_transaction,
        language.RefundCreditBalance: arrears.refund_credit_balance,
        language.SendPaymentReminder: arrears.send_payment_reminder,
        import_contracts.PostImport: import_handlers.post_import,
        import_contracts.MatchTransaction: import_handlers.match_transaction,
        reconciliation.CodeTransactions: coding.code_transactions,
        reconciliation.ExportTransactions: export_handlers.export_transactions,
        reconciliation.CancelExport: export_handlers.cancel_export,
    },
    reactions={
        structure_contracts.ControlAccountOpened: reactions.note_control_account,
        structure_contracts.ControlAccountMoved: reactions.note_move,
        structure_contracts.ControlAccountSettingsChanged: reactions.note_settings,
        structure_contracts.StatementDeliveryChanged: reactions.note_delivery,
        account_contracts.AccountOpened: reactions.note_account,
        account_contracts.AccountTransferred: reactions.note_transfer,
        account_contracts.AccountDeliveryChanged: reactions.note_choice,
        account_contracts.AccountHolderChanged: reactions.note_holder,
        account_contracts.AccountingChanged: reactions.note_accounting,
        card_contracts.CardIssued: reactions.note_card,
    },
    queries={
        language.ListTransactions: transactions.list_transactions,
        language.FindTransactions: transactions.find_transactions,
        language.GetAccountSummary: standing.get_account_summary,
        language.ListAccountStatements: statements.list_account_statements,
        language.ListControlAccountStatements: statements.list_control_account_statements,
        language.GetStatement: statements.get_statement,
        language.ListStatementTransactions: transactions.list_statement_transactions,
        language.GetDashboard: standing.get_dashboard,
        import_contracts.ListImports: import_queries.list_imports,
        import_contracts.GetImport: import_queries.get_import,
        import_contracts.ListImportFindings: import_queries.list_import_findings,
        import_contracts.ListSuspense: import_queries.list_suspense,
        reconciliation.ListCodingHistory: transactions.list_coding_history,
        reconciliation.ListExports: export_queries.list_exports,
        reconciliation.GetExport: export_queries.get_export,
        reconciliation.ListExportLayouts: export_queries.list_export_layouts,
    },
    jobs=[
        Job(name=TELL_STANDINGS, every=timedelta(seconds=1), run=standings.tell_standings),
        Job(name=standings.AGE_DEBTS, every=timedelta(minutes=1), run=standings.age_debts),
        Errand(name=import_posting.POST_IMPORTS, every=timedelta(seconds=1), run=import_posting.post_imports),
        Errand(name=MATCH_SUSPENSE, every=timedelta(seconds=1), run=looking_again.match_suspense),
        Errand(name=making.MAKE_EXPORTS, every=timedelta(seconds=1), run=making.make_exports),
        Job(name="forget-imports", every=timedelta(seconds=10), run=forgetting.forget_imports),
        Job(name=delivery.TELL_PAPER_OFF, every=timedelta(minutes=1), run=delivery.tell_paper_off),
        Job(name=delivery.TELL_READY, every=timedelta(seconds=5), run=delivery.tell_statements_ready),
        Errand(name=closing.CLOSE_CYCLES, every=timedelta(seconds=10), run=closing.close_cycles),
    ],
    endpoints=file_endpoints,
    places={
        "transaction": scope.transaction_paths,
        "statement": scope.statement_paths,
        "export": scope.export_paths,
    },
)
