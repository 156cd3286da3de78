"""The OpenAPI document is valid and says of each route what its contract says."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from deploy.documents.edge import Problem
from deploy.documents.openapi import openapi
from deploy.documents.schemas import new_specification
from services.gateway.app import ROOT
from shared.contracts.base import Contract, Kind, view
from shared.contracts.schema import schema_of
from shared.contracts.structure import Level
from tests.contracts.pointers import references, resolve
from tests.contracts.test_declarations import COMMANDS, READS, each_command, each_read

DOCUMENT = openapi()
PROBLEMS_OF_COMMANDS = {"400", "401", "403", "404", "409", "413", "415", "422", "429", "503"}


def test_the_document_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_each_reference_leads_somewhere() -> None:
    for _, pointer in references(DOCUMENT):
        resolve(DOCUMENT, pointer)


def test_it_describes_the_root_under_which_the_gateway_answers() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["servers"] == [{"url": ROOT}]


def test_it_is_the_same_each_time() -> None:
    assert openapi() == DOCUMENT


def test_nothing_is_in_it_that_nobody_can_call() -> None:
    declared = {operation_id(contract) for contract in COMMANDS + READS}
    own = {
        *("signIn", "signOut", "getMe", "watchRequest", "enrol", "askForPasswordReset", "resetPassword"),
        *("uploadBulk", "getBulkResult", "uploadImport", "getRefusedRows"),
        "getExportFile",
        *("getStatementAsPdf", "getStatementAsCsv", "getStatementAsXlsx"),
        *("listOwnSessions", "endOtherSessions", "endOwnSession", "changeOwnPassword"),
        *(
            "getOwnSecondFactor",
            "offerSecondFactor",
            "confirmSecondFactor",
            "renewRecoveryCodes",
            "removeOwnSecondFactor",
        ),
    }
    assert {found["operationId"] for _, _, found in operations()} == declared | own


def test_operation_ids_are_unique() -> None:
    ids = [found["operationId"] for _, _, found in operations()]
    assert len(ids) == len(set(ids))


@each_command
def test_a_command_is_posted(contract: Contract) -> None:
    operation = DOCUMENT["paths"][contract.route]["post"]
    assert operation["x-function"] == contract.function
    assert operation["tags"] == [contract.owner]
    assert operation["summary"] == contract.summary
    assert {"Idempotency-Key", "Prefer"} <= {parameter["name"] for parameter in parameters(operation)}
    assert set(operation["responses"]) == {"200", "202", "default"} | PROBLEMS_OF_COMMANDS


@each_command
def test_a_command_takes_in_its_body_what_is_not_in_its_path(contract: Contract) -> None:
    operation = DOCUMENT["paths"][contract.route]["post"]
    fields = set(schema_of(contract.cls)().fields)
    in_path = {parameter["name"] for parameter in parameters(operation) if parameter["in"] == "path"}
    in_body = set(body(operation)["properties"]) if "requestBody" in operation else set()
    assert in_path == set(contract.path_fields)
    assert in_body == (fields - in_path) | ({"on_behalf_of"} if contract.lendable else set())
    if in_body:
        assert body(operation)["additionalProperties"] is False


@pytest.mark.parametrize("contract", COMMANDS, ids=lambda contract: contract.key)
def test_the_example_of_a_body_is_valid(contract: Contract) -> None:
    operation = DOCUMENT["paths"][contract.route]["post"]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        Draft202012Validator({**body(operation), "components": DOCUMENT["components"]}).validate(
            content["example"]
        )


def test_a_command_is_answered_with_a_receipt_or_with_its_outcome() -> None:
    receipt = answer("/accounts/{account_id}/cancel", "post", "202")
    assert set(receipt["required"]) == {"command_id", "tracking_number", "status", "links"}
    outcome = answer("/accounts/{account_id}/cancel", "post", "200")
    assert {"command_id", "tracking_number", "status", "links"} <= set(outcome["required"])
    accepted = resolve(DOCUMENT, "#/components/responses/Receipt")
    assert {"Location", "Idempotency-Key", "Idempotency-Replayed"} <= set(accepted["headers"])


@each_read
def test_a_read_is_fetched_with_its_criteria_in_the_url_unless_they_may_not_stand_there(
    contract: Contract,
) -> None:
    operation = DOCUMENT["paths"][contract.route]["post" if contract.sends_body else "get"]
    fields = set(schema_of(contract.cls)().fields)
    given = {p["name"] for p in parameters(operation) if p["in"] in ("path", "query")}
    if contract.sends_body:
        given |= set(body(operation)["properties"])
        assert not any(parameter["in"] == "query" for parameter in parameters(operation))
    assert given == fields
    assert operation["x-function"] == contract.function


@each_read
def test_a_list_comes_in_pages_and_as_csv(contract: Contract) -> None:
    operation = DOCUMENT["paths"][contract.route]["post" if contract.sends_body else "get"]
    content = operation["responses"]["200"]["content"]
    shape = resolve(DOCUMENT, content["application/json"]["schema"]["$ref"])
    assert contract.returns
    if contract.listing:
        assert set(content) == {"application/json", "text/csv"}
        assert shape["required"] == ["data", "has_more", "next_cursor", "total"]
        shape = resolve(DOCUMENT, shape["properties"]["data"]["items"]["$ref"])
    else:
        assert set(content) == {"application/json"}
    assert set(shape["properties"]) >= set(schema_of(contract.returns)().fields)


def test_every_error_is_a_problem() -> None:
    problem = set(schema_of(Problem)().fields)
    for method, path, operation in operations():
        for status in operation["responses"]:
            if status == "default" or int(status) >= 400:
                found = resolve(DOCUMENT, operation["responses"][status]["$ref"])
                shape = found["content"]["application/problem+json"]["schema"]
                assert set(resolve(DOCUMENT, shape["$ref"])["properties"]) == problem, (
                    f"{method} {path} {status}"
                )


def test_answers_may_grow_and_requests_may_not_hold_more() -> None:
    strict = {
        name for name, schema in DOCUMENT["components"]["schemas"].items() if "additionalProperties" in schema
    }
    bodies = [
        operation["requestBody"]["content"] for _, _, operation in operations() if "requestBody" in operation
    ]
    json = [body["application/json"] for body in bodies if "application/json" in body]  # the rest are files
    assert strict == {body["schema"]["$ref"].rpartition("/")[2] for body in json}


def test_all_but_the_ways_in_needs_a_session() -> None:
    assert DOCUMENT["security"] == [{"session": []}]
    assert DOCUMENT["components"]["securitySchemes"]["session"]["scheme"] == "bearer"
    without = {path for _, path, operation in operations() if operation.get("security") == []}
    assert without == {"/sessions", "/enrolment", "/password-reset", "/password-reset/confirm"}


def test_a_request_can_be_watched() -> None:
    operation = DOCUMENT["paths"]["/tracking/{tracking_number}/events"]["get"]
    assert set(operation["responses"]["200"]["content"]) == {"text/event-stream"}


def test_patterns_are_those_of_json_schema() -> None:
    patterns = [value for name, value in walk(DOCUMENT) if name == "pattern"]
    assert patterns
    assert all(
        pattern.startswith("^") and pattern.endswith("$") and r"\Z" not in pattern for pattern in patterns
    )


def test_parameters_are_never_null() -> None:
    for method, path, operation in operations():
        for parameter in parameters(operation):
            assert isinstance(parameter["schema"].get("type"), str), f"{method} {path}: {parameter}"
            assert None not in parameter["schema"].get("enum", [])


def test_what_is_masked_is_marked() -> None:
    search = body(DOCUMENT["paths"]["/accounts/search"]["post"])
    assert search["properties"]["card_numbers"]["x-masked"] is True


def test_requirements_are_named() -> None:
    assert DOCUMENT["paths"]["/accounts/{account_id}/cancel"]["post"]["x-requirements"] == [
        "ACC-10",
        "ACC-12",
    ]


def test_two_shapes_of_one_name_do_not_pass() -> None:
    @view
    class Twin:
        level: Level

    @view
    class Outer:
        twin: Twin

    specification = new_specification("twins", "1")
    specification.components.schema("Twin", {"type": "object"})
    with pytest.raises(ValueError, match="named Twin"):
        specification.components.schema("Outer", schema=schema_of(Outer))


def operations() -> list[tuple[str, str, Any]]:
    return [
        (method, path, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    ]


def parameters(operation: Any) -> list[Any]:
    return (
        [
            resolve(DOCUMENT, parameter["$ref"]) if "$ref" in parameter else parameter
            for parameter in operation["parameters"]
            if parameter
        ]
        if "parameters" in operation
        else []
    )


def body(operation: Any) -> Any:
    return resolve(DOCUMENT, operation["requestBody"]["content"]["application/json"]["schema"]["$ref"])


def answer(path: str, method: str, status: str) -> Any:
    found = resolve(DOCUMENT, DOCUMENT["paths"][path][method]["responses"][status]["$ref"])
    return resolve(DOCUMENT, found["content"]["application/json"]["schema"]["$ref"])


def operation_id(contract: Contract) -> str:
    assert contract.kind is not Kind.EVENT
    return contract.cls.__name__[0].lower() + contract.cls.__name__[1:]


def walk(document: Any) -> list[tuple[str, Any]]:
    if isinstance(document, dict):
        return [*document.items(), *(found for value in document.values() for found in walk(value))]
    if isinstance(document, list):
        return [found for value in document for found in walk(value)]
    return []
