"""Describe the first mistake in what was read, in one line: the field, what it must be, and what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import takewhile
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from workloads.errors import UsageError

if TYPE_CHECKING:
    from pydantic import ValidationError

MUST = "must"
"""Type of the errors of ``workloads.reading.strict``, whose context has the ``words`` for what a value must be."""

BRANCH = "\0"
"""What the labels of a union's branches begin with, in the place of an error."""

MAPPING = "a mapping"
NULL = "null"
WORDS = {
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": MAPPING,
    "mapping_type": MAPPING,
    "dataclass_type": MAPPING,
    "dataclass_exact_type": MAPPING,
    "model_type": MAPPING,
}
HALVES = re.compile("[\ud800-\udfff]")
"""Lone surrogates, which JSON can say and UTF-8 cannot."""

LONGEST_NAME = 40
LONGEST_PATH = 120
LONGEST_VALUE = 80
LONGEST_TEXT = 600
MOST_BITS = 200

Error = dict[str, Any]


def tell(error: ValidationError, origin: str) -> str:
    """The first mistake that pydantic found in what ``origin`` holds."""
    errors: list[Error] = [dict(found) for found in error.errors(include_url=False)]
    path, sentence, stands_alone = _describe(errors)
    place = ": ".join(filter(None, (origin, path)))
    return in_one_line(f"{place}{':' if stands_alone and place else ''} {sentence}".strip())


def brief(value: object) -> str:
    """A value in at most ``LONGEST_VALUE`` characters, however long or deep it is."""
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, date):
        return f"the date {value}"
    try:
        text = _SHORT.repr(value)
    except ValueError:  # a huge int somewhere inside
        text = f"a {type(value).__name__}"
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def brief_name(key: object) -> str:
    """A key of a mapping, in at most ``LONGEST_NAME`` characters that can be printed."""
    return in_one_line(key[:LONGEST_NAME])[:LONGEST_NAME] if isinstance(key, str) else brief(key)[:LONGEST_NAME]


def in_one_line(text: str) -> str:
    """A text without line breaks and unprintable characters, of at most ``LONGEST_TEXT`` characters."""
    line = " ".join(text.split())
    printable = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
    return printable if len(printable) <= LONGEST_TEXT else f"{printable[: LONGEST_TEXT - 3]}..."


def _describe(errors: Sequence[Error]) -> tuple[str, str, bool]:
    """Path, sentence, and whether that stands alone, of the first error; branches of a union are told together."""
    first = errors[0]
    before = tuple(takewhile(lambda part: not _is_branch(part), first["loc"]))
    if len(before) == len(first["loc"]):
        return _alone(first)
    branches: dict[object, list[Error]] = {}
    for error in errors:
        place = error["loc"]
        if place[: len(before)] == before and len(place) > len(before) and _is_branch(place[len(before)]):
            within = {**error, "loc": before + place[len(before) + 1 :]}
            branches.setdefault(place[len(before)], []).append(within)
    for found in branches.values():
        if any(_depth(error) > len(before) or error["type"] == "value_error" for error in found):
            return _describe(found)
    wanted = [words for found in branches.values() for error in found for words in _words(error)]
    return _path(before), _must(wanted, first["input"]), False


def _alone(error: Error) -> tuple[str, str, bool]:
    place = error["loc"]
    if error["type"] == "missing":
        return _path(place), "is missing", False
    if error["type"] == "value_error":
        cause = error["ctx"]["error"]
        return _path(place), str(cause), isinstance(cause, UsageError)
    if error["type"] == "invalid_key" or (place and place[-1] == "[key]"):
        within = place[: -1 if error["type"] == "invalid_key" else -2]
        return _path(within), f"the name {brief(error['input'])} must be a text", True
    return _path(place), _must(_words(error), error["input"]), False


def _words(error: Error) -> list[str]:
    """What the value must be."""
    kind = error["type"]
    if kind == MUST:
        return [error["ctx"]["words"]]
    if kind == "too_short":
        least = error["ctx"]["min_length"]
        return ["a list and not empty" if least == 1 else f"a list of at least {least}"]
    if kind == "too_long":
        return [f"a list of at most {error['ctx']['max_length']}"]
    return [WORDS.get(kind) or error["msg"].removeprefix("Input should be ")]


def _must(words: Iterable[str], value: object) -> str:
    """That the value must be one of these; null is as good as nothing, and is told only where it is all."""
    if isinstance(value, str) and HALVES.search(value):
        return "is not valid Unicode: it holds half of a character"
    distinct = list(dict.fromkeys(words))
    distinct = [word for word in distinct if word != NULL] or distinct
    wanted = " or ".join(filter(None, (", ".join(distinct[:-1]), distinct[-1])))
    return f"must {'map names to values' if wanted == MAPPING else f'be {wanted}'}, not {brief(value)}"


def _depth(error: Error) -> int:
    return sum(not _is_branch(part) for part in error["loc"])


def _is_branch(part: object) -> bool:
    return isinstance(part, str) and part.startswith(BRANCH)


def _path(place: Iterable[object]) -> str:
    """``rules[2].margin``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not _is_branch(part):
            name = str(part)
            plain = name and len(name) <= LONGEST_NAME and name.isprintable() and not name.isspace()
            text += f"{'.' if text else ''}{name if plain else brief(name[:LONGEST_NAME])}"
    return text if len(text) <= LONGEST_PATH else f"...{text[3 - LONGEST_PATH :]}"


_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 3, 60, 60, 60
