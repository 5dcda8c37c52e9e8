"""Read the options of a workload: ``name@option=value,option=value``, as those of a runner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, get_type_hints

from workloads.errors import UsageError, unknown_name
from workloads.reading import check

OPTION: Mapping[str, bool] = MappingProxyType({"option": True})
"""Metadata of a workload's field that a user may set by its name."""

NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


def base_name(name: str) -> str:
    """The name of a workload without its options."""
    return name.partition("@")[0]


def read_options(kind: Any, name: str) -> dict[str, Any]:
    """The options in the ``name`` of a workload, by the fields of its class ``kind``.

    Raises:
        UsageError: an option is unknown, given twice, or not what it must be.
    """
    base, found, text = name.partition("@")
    known = [entry.name for entry in fields(kind) if entry.metadata.get("option")]
    if not found:
        return {}
    if not known:
        raise UsageError(f"workload '{name}': {base} takes no options; write {base}")
    hints = get_type_hints(kind, include_extras=True)
    given: dict[str, Any] = {}
    for item in text.split(","):
        key, equals, value = (piece.strip() for piece in item.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"workload '{name}': write options as {base}@option=value")
        if key not in known:
            raise unknown_name(f"option of workload '{base}'", key, known)
        if key in given:
            raise UsageError(f"workload '{name}': option '{key}' is given twice")
        given[key] = _read(f"workload '{name}': {key}", value, hints[key])
    return given


def _read(origin: str, value: str, hint: Any) -> Any:
    """One value; a text of a few digits is a number, a whole one if it has no point."""
    plain: object = value
    if NUMBER.fullmatch(value):
        plain = float(value) if "." in value else int(value)
    try:
        return check(plain, hint)
    except ValueError as error:
        raise UsageError(f"{origin} {error}") from error
