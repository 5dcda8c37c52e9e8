"""Metadata of types that are read: how keys are read, texts, and functions that read one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

T = TypeVar("T")


def keys(
    unknown: Literal["refuse", "ignore", "keep"] = "refuse", dashes: bool = False, noun: str = "key"
) -> Callable[[type[T]], type[T]]:
    """Say how the keys of a dataclass or TypedDict are read.

    Args:
        unknown: what happens to a key that is no field. An error names the nearest one; only a TypedDict can keep it.
        dashes: whether ``max-slowdown`` is ``max_slowdown``.
        noun: what an error calls a key.
    """

    def decorate(kind: type[T]) -> type[T]:
        kind.__keys__ = Keys(unknown, dashes, noun)  # type: ignore[attr-defined]  # read in workloads.reading.strict
        return kind

    return decorate


@dataclass(frozen=True)
class Keys:
    """How the keys of a kind are read; see ``keys``."""

    unknown: Literal["refuse", "ignore", "keep"] = "refuse"
    dashes: bool = False
    noun: str = "key"


@dataclass(frozen=True)
class Read:
    """Metadata of an annotation: ``function`` turns the plain value into the wanted one.

    It raises ValueError with the end of a sentence that begins with the path of the field ("must be even"), or
    UsageError with a sentence of its own ("unknown metric 'anl'").

    Attributes:
        kind: what the value is checked against before; None where the function takes any value.
    """

    function: Callable[[Any], Any]
    kind: Any = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Called by pydantic."""
        from pydantic_core import core_schema

        if self.kind is None:
            return core_schema.no_info_plain_validator_function(self.function)
        return core_schema.no_info_after_validator_function(self.function, handler.generate_schema(self.kind))


@dataclass(frozen=True)
class _NotBlank:
    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.str_schema(pattern=r"\S")


def _listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else (value,)


Text = Annotated[str, _NotBlank()]
"""A text that is not blank."""

Texts = Annotated[tuple[str, ...], Read(_listed, Text | tuple[Text, ...])]
"""One text or a list of them, none blank."""
