"""Requests assessed for a calibration: cold ones whose reply nobody needs are not answered, and tell nothing less."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from runners.analysis.assess import LEVELS, AssessingRunner, assess, count_assessed
from runners.models.load import LoadedModel, load_model, resolve_model
from runners.risk.model import RANKINGS
from workloads.base import StreamOptions
from workloads.registry import load_workload


class Answering(AssessingRunner):
    """Answers every request."""

    primes = False


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model("builtin", resolve_model("builtin"))


@torch.inference_mode()
@pytest.mark.parametrize("workload", ["binding", "image-chat", "gui-agent@window=5"])
def test_cold_requests_are_answered_only_where_a_reply_or_a_prefix_comes_back(
    model: LoadedModel, workload: str
) -> None:
    conversations = list(load_workload(workload).conversations(StreamOptions(12, 3, popularity="even")))
    seen: dict[str, list[Any]] = {}
    for kind in (AssessingRunner, Answering):
        runner = kind(model, 1 << 28, 2, "template")
        seen[kind.__name__] = list(assess(workload, conversations, runner, 2))
        assert len(seen[kind.__name__]) == count_assessed(conversations, runner)
    few, every = (list(filter(None, (request for _, request in found))) for found in seen.values())
    assert [(r.case, r.behind_new_media) for r in few] == [(r.case, r.behind_new_media) for r in every]
    assert len(few) > 3, "media come back"
    assert (len(seen["AssessingRunner"]) < 12) == (workload != "image-chat"), "a chat goes on"
    for request, same in zip(few, every, strict=True):
        assert request.signals == pytest.approx(same.signals, abs=1e-4), "an exact prefix is a little longer"
        for ranking, share in product(RANKINGS, LEVELS):
            outcome = request.outcomes[ranking][share]
            assert outcome.changed == same.outcomes[ranking][share].changed
            assert outcome.margin == pytest.approx(same.outcomes[ranking][share].margin, abs=1e-3)
