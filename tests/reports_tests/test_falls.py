from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from reports.statistics.falls import Fall, falls

ALPHA = 0.05


def separate(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def table(*columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame(dict(zip([0.0, 0.02, 0.1, 1.0], columns, strict=False)))


def test_a_fall_is_found_with_its_size_and_its_chance() -> None:
    scores = table([1.0] * 10, [0.0] * 8 + [1.0] * 2)
    assert falls(scores, separate(10), ALPHA) == [Fall(0.0, 0.02, 0.8, binomtest(8, 8, alternative="greater").pvalue)]


def test_what_rises_or_stays_does_not_fall() -> None:
    assert falls(table([0.0] * 20, [0.5] * 20, [1.0] * 20), separate(20), ALPHA) == []
    assert falls(table([1.0] * 20, [1.0] * 20), separate(20), ALPHA) == []
    assert falls(table([1.0] * 20), separate(20), ALPHA) == []


def test_a_fall_in_several_steps_is_found_between_its_ends() -> None:
    steps = [[1.0] * 30, [1.0] * 26 + [0.0] * 4, [1.0] * 22 + [0.0] * 8, [1.0] * 18 + [0.0] * 12]
    found = falls(table(*steps), separate(30), ALPHA)
    assert [(fall.low_ratio, fall.high_ratio) for fall in found] == [(0.0, 0.1), (0.0, 1.0), (0.02, 1.0)]
    chances = {pair: 0.5 ** (4 * steps) for pair, steps in {"0-0.1": 2, "0-1": 3, "0.02-1": 2}.items()}
    assert [fall.p_adjusted for fall in found] == pytest.approx(
        [5 * chances["0-0.1"], 6 * chances["0-1"], 5 * chances["0.02-1"]]
    )


def test_requests_of_one_cluster_fall_once() -> None:
    scores = table([1.0] * 24, [0.0] * 24)
    assert len(falls(scores, separate(24), ALPHA)) == 1
    assert falls(scores, [str(number // 6) for number in range(24)], ALPHA) == []


def test_many_small_losses_that_a_few_large_gains_outweigh_are_no_fall() -> None:
    assert falls(table([0.1] * 20 + [0.0] * 5, [0.0] * 20 + [1.0] * 5), separate(25), ALPHA) == []


def test_false_falls_are_as_rare_as_asked_for() -> None:
    rng = np.random.default_rng(0)
    clusters = [str(number // 3) for number in range(90)]
    false = 0
    for _ in range(200):
        chances = np.repeat(rng.beta(4, 2, size=30), 3)
        scores = pd.DataFrame({ratio: (rng.random(90) < chances) * 1.0 for ratio in (0.0, 0.02, 0.1, 1.0)})
        false += bool(falls(scores, clusters, 0.2))
    assert 0 < false <= 0.2 * 200


def test_ratios_ascend_and_every_score_is_there() -> None:
    with pytest.raises(ValueError, match=r"ratios must ascend, not \[0\.5, 0\.1\]"):
        falls(pd.DataFrame({0.5: [1.0], 0.1: [1.0]}), ["a"], ALPHA)
    with pytest.raises(ValueError, match="every request needs a score at every ratio"):
        falls(table([1.0, float("nan")], [1.0, 1.0]), ["a", "b"], ALPHA)


@pytest.mark.parametrize(("lost", "won"), [(9, 0), (14, 3), (60, 20), (400, 150)])
def test_the_chance_is_counted_coin_by_coin(lost: int, won: int) -> None:
    scores = table([1.0] * lost + [0.0] * won, [0.0] * lost + [1.0] * won)
    (fall,) = falls(scores, separate(lost + won), ALPHA)
    as_clear = sum(comb(lost + won, count) for count in range(lost, lost + won + 1))
    assert fall.p_adjusted == pytest.approx(as_clear / 2 ** (lost + won), rel=1e-9)
