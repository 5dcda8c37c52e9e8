"""Chooses ranking, levels, penalty and margin of a risk model, on the requests that it is to be fitted to.

The ranking is the default one, unless fewer answers changed with another and chance does not explain it (sign test).
The others are chosen by cross-validation over the cases: of the settings with which as small a share of answers
changes as the tests will allow, in sum and in every family, for hardly more tokens than with the best, the fewest
levels, the largest penalty and the largest margin, in this order. So few requests are not asked for more than they can
tell. Where no setting keeps it, nothing tells them apart, and the most cautious is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product, takewhile

import numpy as np
from scipy.stats import binom

from runners.risk.bounds import CONFIDENCE
from runners.risk.fit import Setting, with_levels
from runners.risk.model import DEFAULT_RANKING, EVERYTHING, Ranking, RiskModel
from runners.risk.outcomes import CalibrationRequest, first_of_each, numbered
from runners.risk.trials import estimate_all, try_thresholds

HARDLY = 0.1  # so many more tokens, relatively, may be computed with a setting that is preferred
MARGINS = (3.0, 2.0, 1.5, 1.0, 0.5, 0.2, 0.1, 0.0)  # logit margins below which a token may be in doubt
RIDGES = (5.0, 1.0)  # penalties of the weights: few requests take a larger one
FOLDS = 3  # of the cross-validation


def choose_setting(empty: RiskModel, fitted: Sequence[CalibrationRequest], allowed: float, risk: float) -> Setting:
    """Choose the first setting, in the order that the module tells, of those that cost hardly more than the best.

    Args:
        empty: see ``without_levels``.
        fitted: what the levels are to be fitted to.
        allowed: share of all cases that may change.
        risk: share of the cases of a family that may.
    """
    ranking = _ranking(fitted)
    ladders = _ladders(sorted(fitted[0].outcomes[ranking]))
    widest_settings = [Setting(ranking, ladders[-1], *parts) for parts in product(RIDGES, MARGINS)]
    costs = dict(cost for widest in widest_settings for cost in _costs(empty, fitted, widest, ladders, allowed, risk))
    settings = [Setting(ranking, *parts) for parts in product(ladders, RIDGES, MARGINS)]
    cheapest = min(costs.values())
    if cheapest == EVERYTHING:
        return settings[0]
    return next(known for known in settings if costs[known] <= (1 + HARDLY) * cheapest and costs[known] < EVERYTHING)


def _ranking(fitted: Sequence[CalibrationRequest]) -> Ranking:
    """Choose the ranking: the default one, unless fewer answers changed with another, and not by chance."""
    others = [ranking for ranking in fitted[0].outcomes if ranking != DEFAULT_RANKING]
    return next((ranking for ranking in others if _is_better(ranking, fitted)), DEFAULT_RANKING)


def _is_better(ranking: Ranking, fitted: Sequence[CalibrationRequest]) -> bool:
    """Whether fewer answers changed, over all levels, than with the default ranking (one-sided sign test)."""
    pairs = [
        (outcome.changed, request.outcomes[DEFAULT_RANKING][share].changed)
        for request in fitted
        for share, outcome in request.outcomes[ranking].items()
    ]
    lost, won = (sum(pair == found for pair in pairs) for found in ((True, False), (False, True)))
    return bool(binom.cdf(lost, lost + won, 0.5) <= 1 - CONFIDENCE)


def _ladders(shares: Sequence[float]) -> list[tuple[float, ...]]:
    """Levels to choose from, fewest first: the last alone, the first and the last, and one more before it each time."""
    return [(shares[-1],), *((shares[0], *shares[-count:]) for count in range(1, len(shares)))]


def _costs(
    empty: RiskModel,
    fitted: Sequence[CalibrationRequest],
    widest: Setting,
    ladders: Sequence[tuple[float, ...]],
    allowed: float,
    risk: float,
) -> Iterator[tuple[Setting, float]]:
    """Compute for each ladder the mean share of tokens with which no more changes than is allowed: all if more does.

    Every request is estimated by what was fitted to the cases of the other folds; a level is fitted once for all
    ladders. Kinds are not told apart within a family: of so few requests each has one or two at a level.

    Args:
        widest: the setting with all levels that a ladder has.
        allowed, risk: see ``choose_setting``.

    Yields:
        the setting with each of the ladders, and its cost.
    """
    folds = np.array(numbered([request.case for request in fitted])) % FOLDS
    estimates, model = np.empty((len(fitted), len(widest.levels) + 1)), empty
    for fold in set(folds.tolist()):
        rest, held = (
            [fitted[place] for place in np.flatnonzero(part).tolist()] for part in (folds != fold, folds == fold)
        )
        if not rest:
            yield from ((replace(widest, levels=ladder), EVERYTHING) for ladder in ladders)
            return
        model = with_levels(empty, rest, widest)
        estimates[folds == fold] = estimate_all(model, held)
    most = allowed * len(first_of_each(fitted))
    for ladder in ladders:
        places = [widest.levels.index(share) for share in ladder]
        part = replace(model, levels=tuple(model.levels[place] for place in places))
        trials = try_thresholds(estimates[:, [*places, -1]], part, fitted)
        kept = list(takewhile(lambda trial: trial.changed <= most and not trial.breaks_in_a_family(risk), trials))
        yield replace(widest, levels=ladder), kept[-1].mean if kept else EVERYTHING
