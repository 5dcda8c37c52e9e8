"""Read what people and other programs wrote: JSON and YAML, checked against a type, a mistake told in one line.

    @keys(dashes=True)
    @dataclass(frozen=True)
    class Rule:
        margin: Annotated[float, Interval(gt=0, lt=1)] | None = None
        runner: Text = "*"

    read_yaml(data, dict[str, tuple[Rule, ...]], "policy.yaml")

    policy.yaml: rules[2].margin must be a number above 0 and below 1, not 3

A kind is what the value must be: a dataclass, a TypedDict (of ``typing_extensions``, for Python 3.11) or any other
annotation. Its limits are those of ``annotated_types``, or ``Text``, ``Texts`` and ``Read`` of this module. Names in
annotations are looked up when the kind is first read, so they may not be imported under TYPE_CHECKING alone. A
``__post_init__`` may raise ValueError with the end of a sentence that begins with the path of the field, or UsageError
with a sentence of its own.

Types are strict: no "1" and no true for 1. An int is taken as a float, a list as a tuple (and a tuple as a list), a
text as a member of a StrEnum. Floats are finite. pydantic does the work, and is imported when the first file is read.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, overload

from workloads.errors import UsageError
from workloads.reading.kinds import Read, Text, Texts, keys
from workloads.reading.mistakes import brief, brief_name, in_one_line, tell

__all__ = [
    "Read",
    "Text",
    "Texts",
    "brief",
    "brief_name",
    "check",
    "in_one_line",
    "keys",
    "parse_json",
    "parse_yaml",
    "read_json",
    "read_yaml",
]

T = TypeVar("T")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNKNOWN_KEY = "unexpected_keyword_argument"
TOO_DEEP = "lists and mappings are nested too deeply"
OF_THE_CONSTRUCTOR = (LookupError, TypeError, AttributeError)  # whose texts tell of PyYAML's own code
CONSTRUCTOR_ERRORS = (ValueError, ArithmeticError, *OF_THE_CONSTRUCTOR)
"""What PyYAML lets through from the constructors of dates, numbers and tagged values."""


@overload
def check(value: object, kind: type[T], origin: str = "") -> T: ...
@overload
def check(value: object, kind: Any, origin: str = "") -> Any: ...
def check(value: object, kind: Any, origin: str = "") -> Any:
    """The value of that ``kind`` that plain ``value`` (as JSON or YAML give it) stands for.

    Raises:
        UsageError: the first mistake in one line: ``origin``, the path of the field, what it must be, and what it is.
            Without an origin the text begins with the path, for readers that add the number of a line.
    """
    from pydantic import ValidationError

    from workloads.reading.strict import validator_of

    try:
        return validator_of(kind).validate_python(value)
    except ValidationError as error:
        raise UsageError(tell(error, origin)) from error
    except RecursionError as error:
        raise UsageError(in_one_line(f"{origin} {TOO_DEEP}".strip())) from error


@overload
def read_json(data: bytes | str, kind: type[T], origin: str = "") -> T: ...
@overload
def read_json(data: bytes | str, kind: Any, origin: str = "") -> Any: ...
def read_json(data: bytes | str, kind: Any, origin: str = "") -> Any:
    """The value of that ``kind`` in a JSON text; of equal keys the last holds.

    Raises:
        UsageError: as ``check`` does; the text is no JSON; or half of a character (a lone surrogate) is in it.
    """
    from pydantic import ValidationError

    from workloads.reading.strict import validator_of

    try:
        encoded = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        return validator_of(kind).validate_json(encoded.removeprefix(BYTE_ORDER_MARK))
    except ValidationError as error:
        errors = error.errors(include_input=False)
        if errors[0]["type"] == "json_invalid" or any(found["type"] == UNKNOWN_KEY for found in errors):
            check(parse_json(data, origin), kind, origin)  # Python's texts are plainer, and name the field
        if errors[0]["type"] != "json_invalid":
            raise UsageError(tell(error, origin)) from error
        refused = f"{origin} is not valid JSON: {errors[0]['ctx']['error']}"
        raise UsageError(in_one_line(refused.strip())) from error


@overload
def read_yaml(data: bytes | str, kind: type[T], origin: str = "") -> T: ...
@overload
def read_yaml(data: bytes | str, kind: Any, origin: str = "") -> Any: ...
def read_yaml(data: bytes | str, kind: Any, origin: str = "") -> Any:
    """The value of that ``kind`` in a YAML text (UTF-8); of equal keys the last holds. An empty text is null.

    Raises:
        UsageError: as ``check`` does, or the text is no YAML.
    """
    return check(parse_yaml(data, origin), kind, origin)


def parse_yaml(data: bytes | str, origin: str = "") -> Any:
    """Whatever a YAML text (UTF-8) holds; UsageError when it is no YAML."""
    import yaml

    from workloads.reading.loader import BoundedLoader

    try:
        return yaml.load(data.decode() if isinstance(data, bytes) else data, BoundedLoader)
    except RecursionError as error:
        raise UsageError(f"{origin} is not valid YAML: {TOO_DEEP}".strip()) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = ", ".join(filter(None, (error.context, error.problem, place)))
        raise UsageError(in_one_line(f"{origin} is not valid YAML: {reason}".strip())) from error
    except (yaml.YAMLError, *CONSTRUCTOR_ERRORS) as error:
        told = "a value is not what its tag says" if isinstance(error, OF_THE_CONSTRUCTOR) else str(error)
        raise UsageError(in_one_line(f"{origin} is not valid YAML: {told}".strip())) from error


def parse_json(data: bytes | str, origin: str = "") -> Any:
    """Whatever a JSON text holds, halves of characters too, which ``check`` refuses; UsageError when it is no JSON."""
    try:
        return json.loads(data.decode("utf-8-sig") if isinstance(data, bytes) else data)
    except (ValueError, RecursionError) as error:
        reason = str(error)
        if isinstance(error, RecursionError):
            reason = TOO_DEEP
        if isinstance(error, json.JSONDecodeError):
            line = f"line {error.lineno}, " if error.lineno > 1 else ""
            reason = f"{error.msg}, {line}column {error.colno}"
        raise UsageError(in_one_line(f"{origin} is not valid JSON: {reason}".strip())) from error
