"""Rows of the vision encoder in their places in a prompt."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runners.engine.prompt.features import place_features

HIDDEN = 3


@given(
    gaps=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    lengths=st.lists(st.integers(1, 4), min_size=4, max_size=4),
    deepstack=st.integers(0, 2),
)
def test_rows_stand_in_their_places_and_the_rest_is_untouched(
    gaps: list[int], lengths: list[int], deepstack: int
) -> None:
    spans, end = [], 0
    for gap, length in zip(gaps, lengths, strict=False):
        spans.append(slice(end + gap, end + gap + length))
        end = spans[-1].stop
    hidden = torch.zeros(end + 2, HIDDEN)
    rows = [torch.randn(span.stop - span.start, (1 + deepstack) * HIDDEN) for span in spans]
    added = place_features(hidden, zip(spans, rows, strict=True), deepstack)
    everything = torch.zeros(end + 2, (1 + deepstack) * HIDDEN)
    for span, part in zip(spans, rows, strict=True):
        everything[span] = part
    assert torch.equal(hidden, everything[:, :HIDDEN])
    if added is None:
        assert deepstack == 0
    else:
        assert torch.equal(torch.cat(list(added), dim=1), everything[:, HIDDEN:])


@pytest.mark.parametrize(
    ("shape", "deepstack"), [((1, 3), 0), ((3, 3), 0), ((0, 3), 0), ((2, 6), 0), ((2, 3), 1), ((1, 6), 1)]
)
def test_rows_that_do_not_fill_their_tokens_are_refused(shape: tuple[int, int], deepstack: int) -> None:
    with pytest.raises(ValueError, match=rf"features \({shape[0]}, {shape[1]}\) do not fill 2 tokens of"):
        place_features(torch.zeros(5, HIDDEN), [(slice(1, 3), torch.ones(shape))], deepstack)
