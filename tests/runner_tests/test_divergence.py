"""KL divergence of first-token distributions, against scipy's own and its known properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import entropy

from runners.divergence import kl_divergence

Logits = NDArray[np.float32]
PAIRS = st.integers(1, 30).flatmap(
    lambda size: st.tuples(
        *(hnp.arrays(np.float32, size, elements=st.floats(-30, 30, width=32)) for _ in range(2)),
    )
)


@given(PAIRS)
def test_it_is_the_relative_entropy(pair: tuple[Logits, Logits]) -> None:
    first, second = pair
    expected = entropy(softmax(first.astype(np.float64)), softmax(second.astype(np.float64)))
    assert kl_divergence(first, second) == pytest.approx(float(expected), abs=1e-9)


@given(PAIRS, st.integers(-16, 16))
def test_it_is_never_negative_and_blind_to_a_shift(pair: tuple[Logits, Logits], shift: int) -> None:
    first, second = pair
    found = kl_divergence(first, second)
    assert found >= 0
    assert kl_divergence(first, first) == 0
    assert kl_divergence(first + np.float32(shift), second) == pytest.approx(found, abs=1e-4, rel=1e-4)


def test_it_is_directed() -> None:
    sharp, flat = np.array([5, 0, 0], np.float32), np.zeros(3, np.float32)
    assert kl_divergence(sharp, flat) != pytest.approx(kl_divergence(flat, sharp), rel=0.1)


def test_it_stays_finite_where_probabilities_underflow() -> None:
    first, second = np.array([0, -5e4], np.float32), np.array([-5e4, 0], np.float32)
    assert kl_divergence(first, second) == pytest.approx(5e4)
