"""Fields that request lines of all forms share: ids, and the answer key. Unknown fields are ignored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import MinLen

from workloads.reading import Text, keys
from workloads.scoring import MetricName

SomeTexts = Annotated[tuple[Text, ...], MinLen(1)]


@keys(unknown="ignore")
@dataclass(frozen=True, kw_only=True)
class Line:
    """The fields that all forms share; null is as good as nothing.

    Attributes:
        id: of the last request.
        session_id: lines that share one are taken as dependent.
        answer, answers: the accepted text, or several.
        choices: of which one is the answer.
        metric: how replies are scored.
    """

    id: Text | int | None = None
    session_id: Text | int | None = None
    answer: Text | None = None
    answers: SomeTexts | None = None
    choices: SomeTexts | None = None
    metric: MetricName | None = None

    def own_id(self, default: str) -> str:
        """The id of the line, or ``default``."""
        return default if self.id is None else str(self.id)
