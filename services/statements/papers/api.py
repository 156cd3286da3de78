"""The paper of a statement: no contract, as what is answered is a file."""

from flask import Blueprint, Response

from services.statements.papers.pdf import as_pdf
from services.statements.papers.tables import as_csv, as_xlsx
from services.statements.papers.words import words_of
from services.statements.queries.paper import Paper, paper_of
from shared.contracts.papers import PaperAsked, PaperForm
from shared.contracts.schema import strict
from shared.contracts.statements import GetStatement
from shared.contracts.types import Language
from shared.service import Running
from shared.web.app import admit, json_body, reader_of


def paper_endpoints(running: Running) -> Blueprint:
    """Return ``POST /statements/{statement_id}/paper``, which the gateway asks, knowing whom the statement goes to."""
    endpoints = Blueprint("papers", __name__)

    @endpoints.post("/statements/<statement_id>/paper")
    def paper(statement_id: str) -> Response:
        asked: PaperAsked = strict(PaperAsked).load(json_body())
        admit(GetStatement.contract)
        with running.database.read() as session:
            found = paper_of(statement_id, reader_of(GetStatement.contract, session, running))
        return Response(_written(found, asked, running), content_type=asked.form.media_type)

    return endpoints


def _written(paper: Paper, asked: PaperAsked, running: Running) -> bytes:
    if asked.form is PaperForm.CSV:
        return as_csv(paper)
    if asked.form is PaperForm.XLSX:
        return as_xlsx(paper, asked.language)
    return as_pdf(paper, _address(asked, asked.language), asked.language, running.settings)


def _address(asked: PaperAsked, language: Language) -> list[str]:
    if asked.addressee is None:
        return []
    country = asked.addressee.country
    named = [words_of(language).country(country)] if country else []
    return [*asked.addressee.lines, *named]
