from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from runners.engine.chunks import prefill_in_chunks
from runners.engine.plan import Plan


@pytest.mark.parametrize("chunk", [1, 7, 64, 10_000])
def test_a_prompt_prefilled_in_chunks_is_answered_the_same(lab: Any, chunk: int) -> None:
    request = lab.ask("see ", lab.picture(0), "and ", lab.picture(1), "what changed?")
    whole = lab.engine(lab.method("full")).answer(request)
    parts = lab.engine(lab.method(f"full@chunk={chunk}")).answer(request)
    np.testing.assert_allclose(parts.first_logits, whole.first_logits, atol=2e-4)
    assert parts.token_ids == whole.token_ids
    assert parts.cache.flops == pytest.approx(whole.cache.flops, rel=1e-12)
    assert parts.computed == whole.computed


def test_what_looks_at_a_whole_layer_is_refused(lab: Any) -> None:
    plan = Plan(torch.ones(4, dtype=torch.int64), refine=lambda fresh: None)
    with pytest.raises(ValueError, match="cannot be computed in chunks"):
        prefill_in_chunks(lab.adapter, None, None, plan, 2)  # type: ignore[arg-type]
