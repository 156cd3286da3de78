"""Small parts that paths are described with: references, answers, problems."""

from collections.abc import Iterable
from inspect import getdoc
from typing import Any

from deploy.documents.schemas import part_of
from shared.contracts.base import Contract

JSON = "application/json"
_PROBLEM = "application/problem+json"


def ref(schema: str) -> dict[str, str]:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{schema}"}


def first_line(cls: type[Any]) -> str:
    """Return what a shape says of itself in one sentence."""
    return (getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")


def problem(meaning: str) -> dict[str, Any]:
    """Return an answer that is a problem."""
    return {"description": meaning, "content": {_PROBLEM: {"schema": ref("Problem")}}}


def problem_name(status: int) -> str:
    """Return the name of the answer with this status."""
    return f"Problem{status}"


def problems(statuses: Iterable[int]) -> dict[str, str]:
    """Return the problems that an operation may answer with."""
    return {**{str(status): problem_name(status) for status in statuses}, "default": "Problem"}


def path_parameters(contract: Contract) -> list[dict[str, Any]]:
    """Return the fields of a message that travel in the path."""
    if not contract.path_fields:
        return []
    return [{"in": "path", "schema": part_of(contract.cls, only=contract.path_fields)}]
