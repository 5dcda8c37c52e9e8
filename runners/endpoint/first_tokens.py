"""Compare first tokens as servers tell them: the likeliest ones, by name, with their log-probabilities."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from annotated_types import Interval

from workloads.reading import keys

Logprob = Annotated[float, Interval(le=1e-3)]  # rounding may lift a certain token's above 0
TINY = 1e-6  # of a probability: float32 log-probabilities are known to about that


@keys("ignore")
@dataclass(frozen=True)
class Alternative:
    """A token that might have come, in the form of OpenAI's ``top_logprobs``."""

    token: str
    logprob: Logprob
    bytes: tuple[Annotated[int, Interval(ge=0, le=255)], ...] | None = None

    @property
    def key(self) -> builtins.bytes:
        """What tells it from others: its bytes, else its text."""
        return builtins.bytes(self.bytes) if self.bytes is not None else self.token.encode()


@keys("ignore")
@dataclass(frozen=True)
class TokenLogprob(Alternative):
    """A token of an answer, and what might have come in its place."""

    top_logprobs: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class FirstTokens:
    """Probabilities of the likeliest first tokens, at most 1 in sum: what is left is that of all others."""

    probabilities: Mapping[bytes, float]

    @classmethod
    def of(cls, told: TokenLogprob) -> Self:
        """Read a token with its alternatives."""
        listed = told.top_logprobs or (told,)
        sums: dict[builtins.bytes, float] = {}
        for each in listed:
            sums[each.key] = sums.get(each.key, 0.0) + math.exp(min(each.logprob, 0.0))
        return cls(sums)


def divergence_of_returned(reference: FirstTokens, other: FirstTokens) -> tuple[float, float]:
    """Compute KL(reference || other) in nats over the tokens that both tell of, all others counted as one.

    Merging outcomes never raises a divergence (data processing inequality), so this is a lower bound of that over the
    whole vocabulary, and equal to it where nothing is left out.

    Returns:
        The bound, and the reference's probability of what was merged.
    """
    common = reference.probabilities.keys() & other.probabilities.keys()
    p, q = ([told.probabilities[key] for key in sorted(common)] for told in (reference, other))
    rest_p, rest_q = max(0.0, 1 - sum(p)), max(0.0, 1 - sum(q))
    pairs = [*zip(p, q, strict=True), (rest_p, rest_q)]
    found = sum(one * math.log(one / max(two, TINY)) for one, two in pairs if one > TINY)
    return max(0.0, found), rest_p
