"""On a CUDA device: every backend that can run there is right, and so is placing, alone and within the engine."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from runners.engine.attention.backends import BACKENDS, backend_class
from runners.engine.attention.capability import lacks_triton
from runners.engine.attention.sdpa import Sdpa
from runners.engine.attention.view import LookBack
from runners.engine.engine import Engine
from runners.engine.kv.placing import placing_by_torch
from runners.engine.kv.stored import StoredKV
from runners.models.load import load_model, resolve_model

DEVICE = torch.device("cuda", 0)
TOLERANCES = {torch.float32: 1e-4, torch.float16: 2e-3, torch.bfloat16: 0.02}  # of outputs of order 1
SCRIPT = Path(__file__).parents[2] / "docs" / "benchmarks" / "gpu.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("gpu_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # where dataclasses look their module up
        spec.loader.exec_module(module)
    return module


def usable(name: str, dtype: torch.dtype, head_dim: int) -> Any:
    """The backend, or a skipped test."""
    backend = backend_class(name)
    obstacle = backend.lacks(DEVICE) or backend.refuses(dtype, head_dim)
    if obstacle is not None:
        pytest.skip(f"{name}: {obstacle}")
    return backend()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize(
    ("groups", "head_dim", "tokens", "share"),
    [
        (7, 128, 1000, None),
        (7, 128, 3000, 0.0),
        (7, 128, 3000, 0.03),
        (7, 64, 700, 0.5),
        (1, 80, 500, 0.1),
        (8, 256, 900, 0.1),
        (3, 16, 64, 1.0),
        (4, 128, 1, 0.0),
    ],
)
def test_a_backend_is_near_the_reference_in_float32(
    attention_case: Any,
    name: str,
    dtype: torch.dtype,
    groups: int,
    head_dim: int,
    tokens: int,
    share: float | None,
) -> None:
    backend = usable(name, dtype, head_dim)
    for seed, clustered in ((0, False), (1, True)):
        case = attention_case(tokens, share, seed, groups, 2, head_dim, clustered)
        case = case.to(dtype)
        expected = Sdpa().attend(case.q.float(), case.k.float(), case.v.float(), case.view)
        view = None if case.view is None else LookBack.of(case.view.tokens, DEVICE)
        found = backend.attend(case.q.to(DEVICE), case.k.to(DEVICE), case.v.to(DEVICE), view)
        assert found.dtype == dtype
        tolerance = TOLERANCES[dtype]
        torch.testing.assert_close(found.float().cpu(), expected, atol=tolerance, rtol=tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("head_dim", [16, 80, 128])
def test_placing_rounds_as_torch_does(dtype: torch.dtype, head_dim: int) -> None:
    obstacle = lacks_triton(DEVICE)
    if obstacle is not None:
        pytest.skip(obstacle)
    from runners.engine.kv.triton_placing import placing_by_kernel

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=DEVICE).to(dtype)

    media, at = [], 3
    for tokens, offset in ((700, 0), (33, 5), (1, 1)):
        k, v = (some(4, 3, tokens + offset, head_dim)[:, :, offset:] for _ in range(2))
        media.append(StoredKV(at, k, v, some(tokens, head_dim), some(tokens, head_dim)))
        at += tokens + 2
    k, v = some(4, 3, at, head_dim), some(4, 3, at, head_dim)
    expected_k, expected_v = k.clone(), v.clone()
    placing_by_torch(media, expected_k, expected_v)(0, len(k))
    placing_by_kernel(media, k, v)(0, len(k))
    assert torch.equal(v, expected_v)
    last_bit = 5e-6 if dtype == torch.float32 else 0
    torch.testing.assert_close(k, expected_k, atol=last_bit, rtol=last_bit)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("dtype", "runner"),
    [
        ("float32", "full"),
        ("float32", "vlcache"),
        ("bfloat16", "full"),
        ("bfloat16", "leading-k"),  # vlcache ranks, and in so few bits ranks depend on rounding
    ],
)
@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "sdpa"])
def test_the_engine_answers_alike_with_every_backend(lab: Any, name: str, dtype: str, runner: str) -> None:
    usable(name, getattr(torch, dtype), 32)
    requests = [lab.ask("x ", lab.picture(0)), lab.ask("z ", lab.picture(1), "and", lab.picture(0), max_new_tokens=6)]
    logits = []
    for attention in ("sdpa", name):
        model = load_model("builtin", resolve_model("builtin"), dtype, DEVICE.type, attention=attention)
        engine = Engine(model.adapter, model.workspace, lab.method(runner, recompute_ratio=0.3), 1 << 28)
        responses = [engine.answer(request) for request in requests]
        assert responses[-1].first_logits is not None, responses[-1].error
        logits.append(torch.from_numpy(responses[-1].first_logits))
    tolerance = float(logits[0].abs().max()) * (1e-3 if dtype == "float32" else 0.05)
    torch.testing.assert_close(logits[1], logits[0], atol=tolerance, rtol=0)


@pytest.mark.gpu
def test_the_benchmark_finds_nothing_off(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--tokens", "600", "--repeats", "1"]) == 0
    assert "| attention of the last, of 600 | `sdpa` |" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_the_benchmark_says_so(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "gpu.py: no CUDA device: torch sees none; run this on a machine with one\n"
