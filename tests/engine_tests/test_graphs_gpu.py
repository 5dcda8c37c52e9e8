"""On a CUDA device: what was captured answers as what was not, for other prompts of the same sizes, and only later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from runners.base import Response
from runners.engine.attention.capability import lacks_triton
from runners.engine.engine import Engine
from runners.engine.graphs.policy import obstacle
from runners.engine.graphs.recorder import CudaRecorder
from runners.engine.kv.workspace import Workspace
from runners.models.load import LoadedModel, load_model, resolve_model

DEVICE = "cuda"
SHARES = {"float32": 1e-3, "bfloat16": 0.05}  # tolerances, as a share of the largest logit


def load(dtype: str, attention: str) -> LoadedModel:
    if attention == "triton" and lacks_triton(torch.device(DEVICE)) is not None:
        pytest.skip("needs triton")
    return load_model("builtin", resolve_model("builtin"), dtype, DEVICE, attention=attention)


def assert_alike(found: Response, expected: Response, dtype: str) -> None:
    assert found.first_logits is not None, found.error
    assert expected.first_logits is not None, expected.error
    mine, other = torch.from_numpy(found.first_logits), torch.from_numpy(expected.first_logits)
    torch.testing.assert_close(mine, other, atol=SHARES[dtype] * float(other.abs().max()), rtol=0)


def requests(lab: Any) -> list[Any]:
    """The last two are of the same sizes; all before are there to fill the stores."""
    a, b, c = (lab.picture(seed) for seed in range(3))
    return [
        lab.ask("x ", a, "?"),
        lab.ask("y ", b, "?"),
        lab.ask("z ", c, "?"),
        lab.ask("now ", b, " and ", a, "?", max_new_tokens=8),
        lab.ask("now ", c, " and ", b, "?", max_new_tokens=8),
    ]


@pytest.mark.gpu
@pytest.mark.parametrize("attention", ["sdpa", "triton"])
@pytest.mark.parametrize("dtype", SHARES)
@pytest.mark.parametrize("name", ["full", "prefix-cache", "full-reuse", "leading-k", "vlcache-paper"])
def test_captured_work_answers_as_eager_work(lab: Any, name: str, dtype: str, attention: str) -> None:
    model, method = load(dtype, attention), lab.method(name, recompute_ratio=0.3)
    adapter, recorded = model.adapter, model.workspace
    assert obstacle(adapter) is None
    assert recorded.graphs is not None
    engine = Engine(adapter, Workspace(adapter.kv_shape), method, 1 << 28)
    eager = [engine.answer(request) for request in requests(lab)]
    engine = Engine(adapter, recorded, method, 1 << 28)
    for _ in ("captured", "replayed"):
        engine.reset()
        for request, expected in zip(requests(lab), eager, strict=True):
            found = engine.answer(request)
            assert_alike(found, expected, dtype)
            assert dtype == "bfloat16" or found.token_ids == expected.token_ids
    assert len(recorded.graphs) > 0


@pytest.mark.gpu
def test_sizes_seen_before_are_replayed(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("bfloat16", "auto")
    made: list[int] = []
    record = CudaRecorder.record

    def counted(*args: Any) -> Any:
        made.append(1)
        return record(*args)

    monkeypatch.setattr(CudaRecorder, "record", counted)
    engine = Engine(model.adapter, model.workspace, lab.method("full-reuse"), 1 << 28)
    for _ in ("memory grows", "all is captured"):
        engine.reset()
        for request in requests(lab):
            engine.answer(request)
    assert made
    made.clear()
    engine.reset()
    for request in requests(lab):
        engine.answer(request)
    assert not made


@pytest.mark.gpu
def test_nothing_is_captured_within_the_time_to_first_token(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("bfloat16", "auto")
    engine = Engine(model.adapter, model.workspace, lab.method("full-reuse"), 1 << 28)
    answer: Callable[..., Any] = engine._prefiller.answer
    graphs = model.workspace.graphs
    assert graphs is not None

    def watched(*args: Any) -> Any:
        before = len(graphs)
        with monkeypatch.context() as patch:
            patch.setattr(CudaRecorder, "record", lambda *args: pytest.fail("captured within TTFT"))
            found = answer(*args)
        assert len(graphs) in (before, 0), "what was captured is dropped where memory grows, and only there"
        return found

    monkeypatch.setattr(engine._prefiller, "answer", watched)
    for request in requests(lab):
        engine.answer(request)
    assert len(graphs) > 0


@pytest.mark.gpu
def test_the_memory_that_a_longer_request_outgrows_is_freed(lab: Any) -> None:
    model = load("bfloat16", "auto")
    engine = Engine(model.adapter, model.workspace, lab.method("full-reuse"), 1 << 28)
    for rows in (4, 8, 16):
        request = lab.ask("x ", lab.picture(rows, rows=rows, cols=16), "?")
        engine.answer(request)
        engine.answer(request)
        slab = model.workspace.nbytes
        torch.cuda.synchronize()
        held = torch.cuda.memory_allocated()
        engine.reset()
        model.workspace.release()
        assert held - torch.cuda.memory_allocated() >= slab
        assert model.workspace.graphs is not None
        assert (model.workspace.nbytes, len(model.workspace.graphs)) == (0, 0)
