"""Says which changes between two documents would break someone: the check that contracts only ever grow.

Within a version, a message may gain optional fields and nothing else. What must stay the same depends on which way data
flows: what we take may not be narrowed, as others send it; what we give may not be widened, as others read it.
"""

from collections.abc import Iterator, Mapping
from enum import Flag, auto
from typing import Any

Schema = Mapping[str, Any]

# A limit, and whether raising it lets less through.
_LIMITS = {
    "minLength": True,
    "minItems": True,
    "minimum": True,
    "maxLength": False,
    "maxItems": False,
    "maximum": False,
}


class Flow(Flag):
    """Which way data flows. A message does both: an older one may still lie in a queue when we read it."""

    TAKEN = auto()
    GIVEN = auto()


def message_breaks(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return, in words, what in a newer AsyncAPI document breaks those who send or read messages of the older one.

    A message may go where a newer version of it has taken its place.
    """
    found: list[str] = []
    for key in before["components"]["messages"]:
        if key not in after["components"]["messages"]:
            found += [] if _is_superseded(key, after) else [f"{key} is gone"]
            continue
        old, new = (_data_of(document["components"]["messages"][key]) for document in (before, after))
        found += _Comparison(before, after, Flow.TAKEN | Flow.GIVEN).breaks(key, old, new)
    return found


def api_breaks(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return, in words, what in a newer OpenAPI document breaks the clients of the older one."""
    found: list[str] = []
    for path, methods in before["paths"].items():
        for method, old in methods.items():
            new = after["paths"].get(path, {}).get(method)
            where = f"{method.upper()} {path}"
            found += list(_operation_breaks(where, before, after, old, new)) if new else [f"{where} is gone"]
    return found


def _is_superseded(key: str, after: Mapping[str, Any]) -> bool:
    name, _, version = key.rpartition(".v")
    others = (other.rpartition(".v") for other in after["components"]["messages"])
    return any(other == name and int(newer) > int(version) for other, _, newer in others)


def _data_of(message: Mapping[str, Any]) -> Schema:
    data: Schema = message["payload"]["allOf"][1]["properties"]["data"]
    return data


def _operation_breaks(where: str, before: Any, after: Any, old: Any, new: Any) -> Iterator[str]:
    taken = _Comparison(before, after, Flow.TAKEN)
    given = _Comparison(before, after, Flow.GIVEN)
    yield from taken.breaks(f"{where} parameters", _parameters(before, old), _parameters(after, new))
    asked = _content(before, old.get("requestBody", {}))
    wanted = _content(after, new.get("requestBody", {}))
    if asked or wanted:
        yield from taken.breaks(f"{where} body", asked or {"type": "object"}, wanted or {"type": "object"})
    for status, answer in old["responses"].items():
        if status not in new["responses"]:
            yield f"{where} answers {status} no longer"
        elif shape := _content(before, answer):
            yield from given.breaks(f"{where} {status}", shape, _content(after, new["responses"][status]))


def _parameters(document: Any, operation: Any) -> Schema:
    """Return the parameters of an operation as if they were the fields of one object."""
    each = [_resolved(document, parameter) for parameter in operation.get("parameters", [])]
    return {
        "type": "object",
        "properties": {parameter["name"]: parameter["schema"] for parameter in each},
        "required": [parameter["name"] for parameter in each if parameter.get("required")],
    }


def _content(document: Any, part: Any) -> Schema:
    content = _resolved(document, part).get("content", {})
    found: Schema = content.get("application/json", content.get("application/problem+json", {})).get(
        "schema", {}
    )
    return found


def _resolved(document: Any, part: Any) -> Any:
    while isinstance(part, Mapping) and "$ref" in part:
        target: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = target
    return part


class _Comparison:
    """Compares two schemas, each in its own document."""

    def __init__(self, before: Any, after: Any, flow: Flow) -> None:
        self._before = before
        self._after = after
        self._flow = flow

    def breaks(self, where: str, old: Schema, new: Schema) -> list[str]:
        """Return what of the new schema breaks those who keep to the old one."""
        return list(self._breaks(where, old, new, ()))

    def _breaks(self, where: str, old: Schema, new: Schema, above: tuple[str, ...]) -> Iterator[str]:
        if old.get("$ref") in above:
            return  # a schema within itself was compared further up
        above = (*above, old["$ref"]) if "$ref" in old else above
        old, new = _resolved(self._before, old), _resolved(self._after, new)
        yield from self._type_breaks(where, old, new)
        yield from self._rule_breaks(where, old, new)
        yield from self._required_breaks(where, old, new)
        for name, field in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{where}: the field {name} is gone"
            else:
                yield from self._breaks(f"{where}: {name}", field, new["properties"][name], above)
        if "items" in old and "items" in new:
            yield from self._breaks(f"{where}: each", old["items"], new["items"], above)

    def _type_breaks(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        had, has = _types(old), _types(new)
        if not had or not has:
            return
        if Flow.TAKEN in self._flow and had - has:
            yield f"{where} may no longer be {', '.join(sorted(had - has))}"
        if Flow.GIVEN in self._flow and has - had:
            yield f"{where} may now be {', '.join(sorted(has - had))}"

    def _rule_breaks(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        lost = [value for value in old.get("enum", []) if "enum" in new and value not in new["enum"]]
        if lost:
            yield f"{where} knows no longer {', '.join(map(str, lost))}"
        if Flow.TAKEN not in self._flow:
            return
        if "enum" in new and "enum" not in old:
            yield f"{where} takes only certain values now"
        if new.get("pattern") not in (None, old.get("pattern")):
            yield f"{where} must have another form now"
        for limit, upwards in _LIMITS.items():
            if _is_tighter(old.get(limit), new.get(limit), upwards=upwards):
                yield f"{where} is limited more: {limit} is {new[limit]}"

    def _required_breaks(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        had, has = set(old.get("required", [])), set(new.get("required", []))
        if Flow.TAKEN in self._flow:
            yield from (f"{where}: the field {name} is required now" for name in sorted(has - had))
        if Flow.GIVEN in self._flow:
            kept = had & new.get("properties", {}).keys()
            yield from (f"{where}: the field {name} may be absent now" for name in sorted(kept - has))


def _types(schema: Schema) -> set[str]:
    """Return the JSON types that a schema admits; nothing said of it: any."""
    if "anyOf" in schema:
        return set().union(*(_types(each) if "type" in each else {"object"} for each in schema["anyOf"]))
    given = schema.get("type", [])
    return {given} if isinstance(given, str) else set(given)


def _is_tighter(old: int | None, new: int | None, *, upwards: bool) -> bool:
    if new is None:
        return False
    return old is None or (new > old if upwards else new < old)
