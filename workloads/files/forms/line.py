"""Fields that request lines of all forms share: ids, and the answer key. Others are ignored if no media are in them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Annotated, Any, TypeVar

from annotated_types import MinLen

from workloads.errors import UsageError
from workloads.files.forms.unread import refuse_unread_media, texts_in
from workloads.reading import Read, Text, check, keys
from workloads.scoring import MetricName

LONGEST_NUMBER = 40  # digits that are shown
SomeTexts = Annotated[tuple[Text, ...], MinLen(1)]


def answer_text(value: Any) -> str:
    """A text; ValueError for another value, with what to write in its place if that is known."""
    try:
        return check(value, Text)
    except UsageError as error:
        raise ValueError(f"{error}{_instead(value)}") from error


def _instead(value: Any) -> str:
    """What to write for a value that is no text."""
    if isinstance(value, list) and value:
        return ': write the accepted texts as "answers"'
    if isinstance(value, (int, float)) and len(text := json.dumps(value)) <= LONGEST_NUMBER:
        return f': write "{text}"'
    return ""


def text_or_members(value: Any) -> str | dict[str, Any]:
    """A text, or a mapping with a member that is one; ValueError for another value."""
    return value if isinstance(value, dict) else answer_text(value)


Accepted = Annotated[str, Read(answer_text)]
"""An accepted answer."""
Given = Annotated[str | dict[str, Any], Read(text_or_members)]
"""An accepted answer as it is written."""


@keys(unknown="ignore")
@dataclass(frozen=True, kw_only=True)
class Line:
    """The fields that all forms share; null is as good as nothing.

    Attributes:
        id: of the last request.
        session_id: lines that share one are taken as dependent.
        answer, answers: the accepted text, or several.
        answer_member: of answers that are mappings, the member that counts.
        choices: of which one is the answer.
        metric: how replies are scored.
    """

    id: Text | int | None = None
    session_id: Text | int | None = None
    answer: Accepted | None = None
    answers: Annotated[tuple[Given, ...], MinLen(1)] | None = None
    answer_member: Text | None = None
    choices: SomeTexts | None = None
    metric: MetricName | None = None

    def own_id(self, default: str) -> str:
        """The id of the line, or ``default``."""
        return default if self.id is None else str(self.id)


SomeLine = TypeVar("SomeLine", bound=Line)


def read_line(data: dict[str, Any], kind: type[SomeLine]) -> SomeLine:
    """A line of that kind; ValueError for a mistake, and for media in a field that is not read."""
    line = check(data, kind)
    read = {field.name for field in fields(kind)}
    used = {text for name in read for text in texts_in(data.get(name))}
    refuse_unread_media(data, read, used=used)
    return line
