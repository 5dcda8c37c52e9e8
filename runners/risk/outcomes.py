"""What a calibration stream showed: of every warm request its signals, and what each level of repair does."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from runners.risk.model import EVERYTHING, Ranking


@dataclass(frozen=True)
class Outcome:
    """What a level of repair does to an answer.

    Attributes:
        changed: whether it changes.
        margin: smallest logit margin of its tokens, up to the first that differs from the true answer.
    """

    changed: bool
    margin: float

    def in_doubt(self, least_margin: float) -> bool:
        """Whether a token is in doubt before the answer goes wrong, so that it is computed in full, and right."""
        return self.margin < least_margin

    def stays_changed(self, least_margin: float) -> bool:
        """Whether the answer changes although its tokens in doubt are computed in full."""
        return self.changed and not self.in_doubt(least_margin)


RIGHT = Outcome(changed=False, margin=inf)  # of an answer that is computed in full


@dataclass(frozen=True)
class CalibrationRequest:
    """A warm request of the calibration: its signals, and what each level of repair does to its answer.

    Attributes:
        family: its workload.
        case: requests of one case share media.
        outcomes: by the ranking of the vision tokens, and by the share of them that is computed.
        behind_new_media: whether a reused token stood behind a medium that no store knew.
    """

    family: str
    case: str
    signals: tuple[float, ...]
    outcomes: Mapping[Ranking, Mapping[float, Outcome]]
    behind_new_media: bool = False

    def outcome(self, ranking: Ranking, share: float) -> Outcome:
        """What a level of repair does to the answer; nothing where everything is computed."""
        return RIGHT if share == EVERYTHING else self.outcomes[ranking][share]


def first_of_each(requests: Sequence[CalibrationRequest]) -> list[int]:
    """Find the places of the first request of each case."""
    first: dict[str, int] = {}
    for place, request in enumerate(requests):
        first.setdefault(request.case, place)
    return list(first.values())


def numbered(labels: Sequence[Hashable]) -> list[int]:
    """Number equal labels alike, from 0 on in the order in which they first come."""
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    return [numbers[label] for label in labels]
