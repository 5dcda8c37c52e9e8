"""Make the validator of a kind: pydantic's, strict where it would convert, with words for what each value must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, SchemaValidator, core_schema

from workloads.errors import UsageError, unknown_name
from workloads.reading.kinds import Keys
from workloads.reading.mistakes import BRANCH, MUST, NULL, brief_name

Schema = dict[str, Any]
NOT_SCHEMAS = ("cls", "config", "default", "expected", "members", "metadata", "ref", "serialization")


@cache
def validator_of(kind: Any) -> SchemaValidator:
    """The validator of ``kind``, made once."""
    return SchemaValidator(_strict(TypeAdapter(kind).core_schema))


def _strict(schema: Any) -> CoreSchema:
    """The schema of a type with all in it strict."""
    made: Schema = {key: value if key in NOT_SCHEMAS else _inner(value) for key, value in schema.items()}
    change = CHANGES.get(made["type"])
    reference = made.get("ref")
    changed: Any = change(made) if change else made
    if reference is not None and changed is not made:
        del made["ref"]
        changed["ref"] = reference
    return changed  # type: ignore[no-any-return]  # schemas are dictionaries


def _inner(value: Any) -> Any:
    """The same with every schema in it strict."""
    if isinstance(value, dict):
        return _strict(value) if isinstance(value.get("type"), str) else {key: _inner(of) for key, of in value.items()}
    if isinstance(value, list):
        return [_inner(item) for item in value]
    return tuple(map(_inner, value)) if isinstance(value, tuple) else value


def _leaf(schema: Schema, words: str) -> CoreSchema:
    """The schema with one error for all that may be wrong."""
    context = {"words": words}
    return core_schema.custom_error_schema(
        schema,
        custom_error_type=MUST,
        custom_error_message="must be {words}",
        custom_error_context=context,
    )


def _text(schema: Schema) -> CoreSchema:
    return _leaf({"min_length": 0, **schema, "strict": True}, "a text")  # a limit has pydantic look at its characters


def _whole(schema: Schema) -> CoreSchema:
    return _leaf({**schema, "strict": True}, f"a whole number{_limits(schema)}")


def _number(schema: Schema) -> CoreSchema:
    return _leaf({**schema, "strict": True, "allow_inf_nan": False}, f"a number{_limits(schema)}")


def _limits(schema: Schema) -> str:
    """`` of at least 1``, `` from 0 to 1``: what the limits of a number are."""
    limits = {key: f"{schema[key]:.12g}" for key in ("ge", "gt", "le", "lt") if schema.get(key) is not None}
    if set(limits) == {"ge", "le"}:
        return f" from {limits['ge']} to {limits['le']}"
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    parts = [f"{words[key]} {limit}" for key, limit in limits.items()]
    return f" {' and '.join(parts)}" if parts else ""


def _switch(schema: Schema) -> CoreSchema:
    return _leaf({**schema, "strict": True}, "true or false")


def _null(schema: Schema) -> CoreSchema:
    return _leaf(schema, NULL)


def _literal(schema: Schema) -> CoreSchema:
    return _leaf(schema, _one_of(schema["expected"]))


def _member(schema: Schema) -> CoreSchema:
    return _leaf(schema, _one_of([member.value for member in schema["members"]]))


def _one_of(values: list[Any]) -> str:
    names = ", ".join(map(str, values))
    return f"one of {names}" if len(values) > 1 else names


def _list(schema: Schema) -> CoreSchema:
    """A list, or a tuple of Python; what YAML calls a set has no order, and is refused."""
    strict: Any = {**schema, "strict": True}
    listed = core_schema.no_info_before_validator_function(_listed, strict)
    return core_schema.json_or_python_schema(json_schema=strict, python_schema=listed)


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _mapping(schema: Schema) -> CoreSchema:
    return {**schema, "strict": True}


def _tuple(schema: Schema) -> CoreSchema:
    """A list of any length becomes a tuple; a tuple of fixed length stays what pydantic makes of it."""
    if "variadic_item_index" not in schema or len(schema["items_schema"]) != 1:
        return schema
    length = {key: schema[key] for key in ("min_length", "max_length") if key in schema}
    given = _list({**core_schema.list_schema(schema["items_schema"][0], **length)})
    return core_schema.no_info_after_validator_function(tuple, given)


def _union(schema: Schema) -> CoreSchema:
    """Branches with labels that can be told from names, in the places of errors."""
    choices = [choice[0] if isinstance(choice, tuple) else choice for choice in schema["choices"]]
    labelled: list[Any] = [(choice, f"{BRANCH}{number}") for number, choice in enumerate(choices)]
    return {**schema, "choices": labelled}


def _nullable(schema: Schema) -> CoreSchema:
    inner = schema["schema"]
    choices = [choice for choice, _ in inner["choices"]] if inner["type"] == "union" else [inner]
    return _union(core_schema.union_schema([*choices, _null(dict(core_schema.none_schema()))]))  # type: ignore[arg-type]


def _dataclass(schema: Schema) -> CoreSchema:
    fields = schema["schema"]["fields"]
    return _object(schema, [field["name"] for field in fields if field.get("init", True)])


def _typed_dict(schema: Schema) -> CoreSchema:
    keep = _keys(schema).unknown == "keep"
    return _object({**schema, "extra_behavior": "allow" if keep else "ignore"}, list(schema["fields"]))


def _object(schema: Schema, names: list[str]) -> CoreSchema:
    """The schema behind a look at the keys, where there is something to look for."""
    keys = _keys(schema)
    inner: Any = schema
    if keys.unknown != "refuse" and not keys.dashes:
        return inner  # type: ignore[no-any-return]  # schemas are dictionaries
    looked_at = core_schema.no_info_before_validator_function(_key_reader(keys, frozenset(names)), inner)
    if keys.dashes or schema["type"] != "dataclass":
        return looked_at
    quick: Any = {key: value for key, value in schema.items() if key != "ref"}
    quick["schema"] = {**schema["schema"], "extra_behavior": "forbid"}  # three times as quick; see read_json
    return core_schema.json_or_python_schema(json_schema=quick, python_schema=looked_at)


def _keys(schema: Schema) -> Keys:
    return getattr(schema["cls"], "__keys__", Keys())


def _key_reader(keys: Keys, names: frozenset[str]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        renamed: dict[Any, Any] = {}
        for key, item in value.items():
            name = key.replace("-", "_") if keys.dashes and isinstance(key, str) else key
            if name not in names and keys.unknown == "refuse":
                raise unknown_name(keys.noun, brief_name(name), names)
            if name in renamed:
                raise UsageError(f"'{name}' is given twice")
            renamed[name] = item
        return renamed

    return read


CHANGES: Mapping[str, Callable[[Schema], CoreSchema]] = {
    "str": _text,
    "int": _whole,
    "float": _number,
    "bool": _switch,
    "none": _null,
    "literal": _literal,
    "enum": _member,
    "list": _list,
    "dict": _mapping,
    "tuple": _tuple,
    "union": _union,
    "nullable": _nullable,
    "dataclass": _dataclass,
    "typed-dict": _typed_dict,
}
