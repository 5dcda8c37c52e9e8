"""Fields of a JSON object, each checked: ValueError with a sentence that begins with the name of the field."""

from __future__ import annotations

from typing import Any


def required(data: dict[str, Any], name: str, where: str = "") -> object:
    """Whatever a field holds, but not nothing; ``where`` is the path to the object."""
    if data.get(name) is None:
        raise ValueError(f"{path(where, name)} is missing")
    return data[name]


def text(data: dict[str, Any], name: str, where: str = "", expected: str = "a text") -> str:
    """A text, an empty one too."""
    value = required(data, name, where)
    if not isinstance(value, str):
        raise ValueError(f"{path(where, name)} must be {expected}")
    return unicode(value, path(where, name))


def items(data: dict[str, Any], name: str, where: str = "") -> list[Any]:
    """A list that is not empty."""
    value = required(data, name, where)
    if not isinstance(value, list) or not value:
        raise ValueError(f"{path(where, name)} must be a list and not empty")
    return value


def texts(data: dict[str, Any], name: str, where: str = "") -> tuple[str, ...]:
    """A list of texts of which none is blank."""
    found = items(data, name, where)
    if not all(isinstance(item, str) and item.strip() for item in found):
        raise ValueError(f"{path(where, name)} must be texts and not empty")
    return tuple(unicode(item, path(where, name)) for item in found)


def label(data: dict[str, Any], name: str) -> str | None:
    """An optional name; a whole number will do."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"{name} must be a text or a whole number")
    return unicode(str(value), name)


def json_object(value: object, where: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object")
    return value


def unicode(value: str, where: str) -> str:
    """``value``, unless it holds half of a surrogate pair, which JSON can say and UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{where} is not valid Unicode") from error
    return value


def path(where: str, name: str) -> str:
    """How a field is called in errors."""
    return f"{where}.{name}" if where else name
