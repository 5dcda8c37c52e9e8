"""What a response says of the tokens computed of every medium."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.records import MOST_TOKENS, ComputedMedium


@given(st.lists(st.integers(0, 3), max_size=60))
def test_run_lengths_say_the_depth_of_every_token(depths: list[int]) -> None:
    assert ComputedMedium.of((1, 1, len(depths)), depths).depths() == depths


def test_a_grid_that_does_not_fit_is_left_out() -> None:
    assert ComputedMedium.of((1, 2, 2), [1, 1, 1, 1]) == ComputedMedium(1, 2, 2, "1*4")
    assert ComputedMedium.of((1, 2, 2), [0, 1, 1]) == ComputedMedium(0, 0, 0, "0*1,1*2")
    assert ComputedMedium(0, 0, 0, "").depths() == []


@pytest.mark.parametrize("layers", [f"1*{MOST_TOKENS + 1}", "one*2", "1"])
def test_what_is_no_list_of_depths_is_refused(layers: str) -> None:
    with pytest.raises(ValueError, match=r"more than|invalid literal"):
        ComputedMedium(0, 0, 0, layers).depths()


@pytest.mark.every_method
def test_depths_add_up_to_what_was_counted(lab: Any, name: str) -> None:
    engine = lab.engine(lab.method(name, recompute_ratio=0.2))
    for text in ("cold ", "warm "):
        response = engine.answer(lab.ask(text, lab.picture(0), lab.picture(1)))
        depths = [medium.depths() for medium in response.computed]
        assert sum(map(sum, depths)) == response.cache.computed_token_layers
        assert sum(map(len, depths)) == response.cache.vision_tokens
