"""Readers of settings: each turns the value of a flag or of a YAML file into a typed one, or says what it must be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from reports.statistics.slo import Slo
from workloads.arrivals import Arrivals, speed_of_trace
from workloads.reading import Text, brief, check
from workloads.reading.mistakes import HALVES

Reader = Callable[[object], Any]
"""Raises ValueError with the end of a sentence that begins with the name of the setting."""

MOST = 1e300
MOST_REQUESTS = 10**6
MOST_DISTINCT = 10**6
MOST_SEED = 2**63 - 1
MOST_BYTES = 10**400
MOST_ITEMS = 1000
LONGEST_TEXT = 4096
LEAST = 1e-6  # what is nearer to 0 or 1 cannot be computed with
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
RAY = re.compile(r"ray://[\w.-]{1,255}:\d{1,5}", re.ASCII)
SIZE = re.compile(r"(\d{1,400}(?:\.\d{1,400})?)\s{0,9}([A-Za-z]{0,3})", re.ASCII)


def of(kind: Any) -> Reader:
    """The reader of a kind of plain values; see ``workloads.reading``."""
    return partial(check, kind=kind)


def whole(low: int, high: int | None = None, most: int = MOST_REQUESTS) -> Reader:
    """A whole number of at least ``low``, and of at most ``high``; ``most`` is what can be computed with."""
    read_whole = of(Annotated[int, Interval(ge=low, le=high)])

    def read(value: object) -> int:
        given: int = read_whole(value)
        if given > most:
            raise ValueError(f"must be at most {most}, not {brief(value)}")
        return given

    return read


count = whole(1, MOST_DISTINCT)
"""A whole number above 0."""

share = of(Annotated[float, Interval(ge=0, le=1)])
"""A number from 0 to 1."""

switch = of(bool)
"""True or false."""

_not_blank = of(Text)


def text(value: object) -> str:
    """A text that is not blank, and that a file's name can hold."""
    given: str = _not_blank(value)
    if "\0" in given:
        raise ValueError("must hold no null character")
    if HALVES.search(given):  # bytes of the command line that are no UTF-8
        raise ValueError(f"must be valid UTF-8, not {brief(value)}")
    if len(given) > LONGEST_TEXT:
        raise ValueError(f"must have at most {LONGEST_TEXT} characters, not {len(given)}")
    return given


def number(words: str, low: float, high: float) -> Reader:
    """A number from ``low`` to ``high``. The ``words`` for its limits may be rounder than these."""
    read_number = of(float)

    def read(value: object) -> float:
        try:
            given: float = read_number(value)
        except ValueError:
            given = math.nan
        if not low <= given <= high:
            raise ValueError(f"must be a number {words}, not {brief(value)}")
        return given

    return read


positive = number("above 0", LEAST, MOST)
between_0_and_1 = number("above 0 and below 1", LEAST, 1 - LEAST)


def arrivals(value: object) -> str:
    """A process of arrivals, or the speed of a trace, as ``workloads.arrivals`` reads them."""
    given = text(value)
    if speed_of_trace(given) is None:
        Arrivals.read(given, 1.0)
    return given


def slo(value: object) -> str:
    """A service level objective, as ``reports.statistics.slo`` reads it."""
    given = text(value)
    Slo.read(given)
    return given


def place(value: object) -> str:
    """Where a run is answered: ``local``, ``ray``, or the address of a Ray cluster."""
    given = text(value)
    if given not in ("local", "ray") and not RAY.fullmatch(given):
        raise ValueError(f"must be local, ray or ray://HOST:PORT, not {brief(given)}")
    return given


def shares(value: object) -> tuple[float, ...]:
    """Numbers from 0 to 1, none twice: one, a list or a comma list; ascending, whatever their order was."""
    return _numbers(value, share, "from 0 to 1")


def counts(value: object) -> tuple[int, ...]:
    """Whole numbers above 0, likewise; none of an empty list."""
    if isinstance(value, list | tuple) and not value:
        return ()
    return tuple(int(given) for given in _numbers(value, lambda one: count(_whole(one)), "above 0"))


def _whole(value: object) -> object:
    """A number without a fraction as a whole one; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def rates(value: object) -> tuple[float, ...]:
    """Numbers above 0, likewise."""
    return _numbers(value, positive, "above 0")


def _numbers(value: object, read_one: Reader, words: str) -> tuple[float, ...]:
    given = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    if not given:
        raise ValueError(f"must name at least one number {words}")
    read = [read_one(_number(item)) for item in given]
    _require_few_and_distinct(read, "{:g}".format)
    return tuple(sorted(read))


def _number(value: object) -> object:
    """The number that a text says; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value.strip()


def texts(value: object) -> tuple[str, ...]:
    """One text or a list of them, none twice."""
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items:
        raise ValueError("must name at least one")
    read = tuple(text(item) for item in items)
    _require_few_and_distinct(read, brief)
    return read


def _require_few_and_distinct(items: Sequence[Any], show: Callable[[Any], str]) -> None:
    """Refuse a list that is too long, or has an item twice."""
    if len(items) > MOST_ITEMS:
        raise ValueError(f"must name at most {MOST_ITEMS}, not {len(items)}")
    for place, item in enumerate(items):
        if item in items[:place]:
            raise ValueError(f"names {show(item)} twice")


def names(value: object) -> tuple[str, ...]:
    """One text or a list of them, each a comma list, none twice; or nothing."""
    given = texts(value) if value not in ((), []) else ()
    parts = [part.strip() for item in given for part in item.split(",")]
    return texts(parts) if parts else ()


def names_or_files(value: object) -> tuple[str, ...]:
    """One text or a list of them, each a comma list unless a file is called so, none twice.

    A part such as ``steps=9`` is another option of the name before it: ``name@window=3,steps=9``.
    """
    names: list[str] = []
    for item in texts(value):
        for place, part in enumerate([item] if _is_file(item) else item.split(",")):
            if place and "=" in part and "@" not in part and "@" in names[-1]:
                names[-1] += f",{part.strip()}"
            else:
                names.append(part.strip())
    return texts(names)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # longer than a file's name may be
        return False


def one_of(*choices: str) -> Reader:
    """One of ``choices``."""

    def read(value: object) -> str:
        if value not in choices:
            raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}, not {brief(value)}")
        return str(value)

    return read


def size(value: object) -> int:
    """Bytes: a whole number, or a text such as ``512MiB`` or ``1.5 GB``."""
    size: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := SIZE.fullmatch(value.strip())) and match[2].upper() in UNITS:
        size = round(Fraction(match[1]) * UNITS[match[2].upper()])
    if size is None or not 0 <= size <= MOST_BYTES:
        raise ValueError(f"must be a size such as 512MiB or 2GB, not {brief(value)}")
    return size


def path(value: object) -> Path:
    """A file or folder."""
    return Path(text(value)).expanduser()


def show(value: object) -> str:
    """A setting as one would type it."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)
