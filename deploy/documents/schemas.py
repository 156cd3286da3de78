"""Turns messages and views into JSON Schema by apispec, from the same marshmallow schemas that check the real data."""

from inspect import cleandoc
from typing import Any

from apispec import APISpec, BasePlugin
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields, validate

from shared.contracts.base import Contract
from shared.contracts.schema import masks_of, schema_of

OPENAPI_VERSION = "3.1.0"


class _Described(BasePlugin):
    """Gives each schema the words of the class that it was derived from."""

    def schema_helper(self, name: str, definition: dict[str, Any], **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002
        words = cleandoc(kwargs["schema"].__doc__ or "") if "schema" in kwargs else ""
        return {"description": words} if words else {}


def new_specification(title: str, version: str, **options: Any) -> APISpec:
    """Return an empty specification that names nested schemas after their classes.

    Raises ValueError, when a schema is added, where two classes of one document have the same name.
    """
    plugin = MarshmallowPlugin(schema_name_resolver=lambda schema: _name_of(schema, specification))
    specification = APISpec(title, version, OPENAPI_VERSION, plugins=[plugin, _Described()], **options)
    _refine(plugin)
    return specification


def schema_name(contract: Contract) -> str:
    """Return the name of a message's schema in a document: its class, with the version from the second on."""
    return contract.cls.__name__ + (f"V{contract.version}" if contract.version > 1 else "")


def json_schema_of(cls: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one message or view, whatever it nests written out in place."""
    in_place: Any = lambda _: None  # noqa: E731
    plugin = MarshmallowPlugin(schema_name_resolver=in_place)
    specification = APISpec("one schema", "1", OPENAPI_VERSION, plugins=[plugin, _Described()])
    _refine(plugin)
    specification.components.schema(cls.__name__, schema=schema_of(cls))
    found: dict[str, Any] = specification.to_dict()["components"]["schemas"][cls.__name__]
    if hasattr(cls, "contract"):
        mark_masked(cls.contract, found)
    return found


def mark_masked(contract: Contract, schema: dict[str, Any]) -> None:
    """Mark each property that is masked wherever the message is logged or recorded."""
    for name in masks_of(contract.cls):
        if name in schema["properties"]:
            schema["properties"][name]["x-masked"] = True


def tolerate_more(schema: dict[str, Any]) -> dict[str, Any]:
    """Let a schema admit fields that it does not know, as readers of answers and messages must; return it."""
    schema.pop("additionalProperties", None)
    return schema


def _name_of(schema: Any, specification: APISpec) -> str:
    cls = schema if isinstance(schema, type) else type(schema)
    if cls.__name__ in specification.components.schemas:
        raise ValueError(f"two schemas of one document are named {cls.__name__}")
    return cls.__name__


def _refine(plugin: MarshmallowPlugin) -> None:
    assert plugin.converter
    plugin.converter.add_attribute_function(_refined_property)  # type: ignore[no-untyped-call]
    plugin.converter.add_parameter_attribute_function(_refined_parameter)


def _refined_property(_converter: Any, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    if "default" in ret and ret["default"] is None:
        del ret["default"]  # that it may be left out says the same
    if "enum" in ret and "type" not in ret:
        return {"type": ["string", "null"] if None in ret["enum"] else "string"}
    if "pattern" not in ret:
        return {}
    # Python matches from the start, and its `\Z` is the very end; JSON Schema searches, and there `$` is.
    pattern = ret["pattern"].removesuffix(r"\Z").removesuffix("$").removeprefix("^")
    refined = {"pattern": f"^{pattern}$"}
    words = [rule.error for rule in field.validators if isinstance(rule, validate.Regexp) and rule.error]
    if words and "description" not in ret and ret["pattern"].startswith("^"):
        refined["description"] = words[0]  # a form of its own, not the rule that holds for every text
    return refined


def _refined_parameter(_converter: Any, _field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Take null out of what a parameter may be: a URL has no way of writing it."""
    schema = ret["schema"]
    if isinstance(schema.get("type"), list):
        (schema["type"],) = [name for name in schema["type"] if name != "null"]
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    return {}


def part_of(cls: type[Any], *, only: tuple[str, ...] | None = None, without: tuple[str, ...] = ()) -> Schema:
    """Return the schema of some fields of a message: those in the path, or all that are not."""
    return schema_of(cls)(only=only, exclude=without)
