"""On a CUDA device: what pinned memory sends on a stream of its own is what was stored, and answers are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from runners.engine.engine import Engine
from runners.engine.kv import fetch
from runners.engine.kv.fetch import Fetcher, to_host
from runners.models.load import load_model, resolve_model

DEVICE = torch.device("cuda", 0)
PLENTY = 1 << 28


@pytest.mark.gpu
def test_layers_arrive_whole_while_the_device_is_busy() -> None:
    stored = [tuple(torch.randn(28, 4, 1000, 128, device=DEVICE, dtype=torch.bfloat16) for _ in range(2)) for _ in "ab"]
    held = [(to_host(k), to_host(v)) for k, v in stored]
    assert all(tensor.is_pinned() for pair in held for tensor in pair)
    busy = torch.randn(4096, 4096, device=DEVICE)
    fetcher = Fetcher(DEVICE)
    for _ in range(3):  # memory of the round before is used again
        fetched = fetcher.fetch(held)
        for layer in range(28):
            busy = torch.mm(busy, busy).clamp(-1, 1)
            fetched.wait(layer)
            for (k, v), (there_k, there_v) in zip(stored, fetched.pairs, strict=True):
                assert torch.equal(there_k[layer], k[layer])
                assert torch.equal(there_v[layer], v[layer])
        del fetched


@pytest.mark.gpu
@pytest.mark.parametrize("few_bytes", [0, 1 << 40])
def test_layers_that_are_read_arrive_whole(monkeypatch: pytest.MonkeyPatch, few_bytes: int) -> None:
    """In threads and in turn, beside an entry that lies in the host's memory."""

    class Filled:
        complete = False

        def __init__(self, pair: tuple[torch.Tensor, torch.Tensor]) -> None:
            self.pair = pair

        def read(self, layer: int) -> Callable[[], None]:
            for tensor in self.pair:
                tensor[layer] = layer + 1
            return lambda: None

    monkeypatch.setattr(fetch, "FEW_BYTES", few_bytes)
    k, v, *others = (torch.zeros(28, 4, 1000, 128, pin_memory=True) for _ in range(4))
    rooms, held = (k, v), (others[0], others[1])
    fetcher = Fetcher(DEVICE)
    fetched = fetcher.read([rooms, held], [Filled(rooms), None])
    for layer in range(28):
        fetched.wait(layer)
        assert all(bool((tensor[layer] == layer + 1).all()) for tensor in fetched.pairs[0])
        assert not any(bool(tensor[layer].any()) for tensor in fetched.pairs[1])
    fetcher.stop()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("runner", ["prefix-cache", "full-reuse", "cacheblend", "vlcache"])
def test_no_tier_changes_an_answer(lab: Any, runner: str, dtype: str) -> None:
    model = load_model("builtin", resolve_model("builtin"), dtype, DEVICE.type)
    method = lab.method(runner, recompute_ratio=0.3)
    engines = [
        Engine(model.adapter, model.workspace, method, device, host_budget=host)
        for device, host in ((PLENTY, 0), (0, PLENTY))
    ]
    a, b = lab.picture(0), lab.picture(1)
    asked = [lab.ask("x ", a), lab.ask("z ", b, "and", a), lab.ask("now ", a, b), lab.ask("now ", a, b, "?")]
    for request in asked:
        device, host = (engine.answer(request) for engine in engines)
        assert device.first_logits is not None, device.error
        assert host.first_logits is not None, host.error
        assert device.cache is not None
        assert host.cache is not None
        assert device.cache.kv_hits == host.cache.kv_hits
        expected, found = (torch.from_numpy(response.first_logits) for response in (device, host))
        torch.testing.assert_close(found, expected, atol=float(expected.abs().max()) * 1e-3, rtol=0)


@pytest.mark.gpu
def test_reuse_is_timed_from_both_memories(lab: Any) -> None:
    model = load_model("builtin", resolve_model("builtin"), "bfloat16", DEVICE.type)
    engine = Engine(model.adapter, model.workspace, lab.method("vlcache"), PLENTY, host_budget=PLENTY)
    engine.answer(lab.ask("x ", lab.picture(0)))
    warm = engine.answer(lab.ask("y ", lab.picture(0)))
    assert warm.timing is not None
    assert warm.timing.host_ttft_ms is not None
    assert warm.timing.host_ttft_ms > 0
