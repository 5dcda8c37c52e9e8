"""What a device could reach, what a request asks of it, and how much memory it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from reports.run.descriptions import Ceilings
from reports.run.frame import FRAME_COLUMNS
from reports.summary.floor import floor_ms
from runners.engine.measure import peak
from runners.engine.measure.peak import PeakMeter
from runners.engine.measure.roofline import measure_ceilings

CPU = torch.device("cpu")


def test_ceilings_are_what_a_device_does() -> None:
    found = measure_ceilings(CPU, torch.float32, 1 << 22)
    assert 1e8 < found.flops_per_s < 1e15
    assert 1e8 < found.bytes_per_s < 1e14


@pytest.mark.every_method
def test_what_is_asked_of_the_device_adds_up_to_what_was_counted(lab: Any, name: str) -> None:
    engine = lab.engine(lab.method(name, recompute_ratio=0.2))
    for text in ("cold ", "warm "):
        response = engine.answer(lab.ask(text, lab.picture(0), lab.picture(1)))
        asked = response.demand
        parts = asked.encode_flops + asked.select_flops + asked.prefill_flops + asked.head_flops
        assert parts == pytest.approx(response.cache.flops, rel=1e-12)
        assert (asked.load_bytes > 0) == bool(response.cache.kv_hits or response.cache.prefix_tokens)


def test_weights_are_counted_as_the_model_has_them(lab: Any) -> None:
    asked = lab.engine(lab.method("full")).answer(lab.ask("hello")).demand
    shape, matrices = lab.adapter.shape, 0
    for name, parameter in lab.stock.model.language_model.layers.named_parameters():
        matrices += parameter.numel() if parameter.dim() == 2 and "norm" not in name else 0
    if "moe" not in lab.family:
        tokens = lab.engine(lab.method("full")).answer(lab.ask("hello")).cache.prompt_tokens
        kept = 2 * shape.layers * shape.kv_heads * shape.head_dim * tokens
        assert asked.prefill_bytes == 4 * (matrices + kept)
    assert asked.head_bytes == 4 * shape.hidden * shape.vocabulary


def test_the_floor_takes_whichever_is_longer_in_each_part() -> None:
    line = dict.fromkeys(FRAME_COLUMNS, float("nan"))
    line |= {"encode_flops": 20.0, "load_bytes": 30.0, "select_flops": 40.0}
    line |= {"prefill_flops": 100.0, "prefill_bytes": 1.0, "head_flops": 1.0, "head_bytes": 50.0}
    unknown = line | {"head_bytes": float("nan")}
    found = floor_ms(pd.DataFrame([line, unknown]), Ceilings(10.0, 5.0))
    assert found[0] == pytest.approx(1e3 * (2 + 6 + 4 + 10 + 10))
    assert pd.isna(found[1])


def test_the_floor_is_no_shorter_than_the_way_from_the_host() -> None:
    line = dict.fromkeys(FRAME_COLUMNS, 0.0) | {"prefill_flops": 100.0}
    ceilings = Ceilings(10.0, 5.0, 2.0)
    fetched = [float("nan"), 10.0, 30.0]
    found = floor_ms(pd.DataFrame([line | {"fetch_bytes": size} for size in fetched]), ceilings)
    assert found.tolist() == [1e4, 1e4, 1.5e4], "it overlaps with the rest"
    assert floor_ms(pd.DataFrame([line | {"head_bytes": float("nan")}]), ceilings).isna().all()


HOLD_AND_TELL = """
import torch
from runners.engine.measure.peak import PeakMeter

meter = PeakMeter(torch.device("cpu"))
held = torch.ones(1 << 24)
del held
print(meter.taken(), PeakMeter(torch.device("cpu")).taken())
"""


@pytest.mark.skipif(not peak.RESET.exists(), reason="only Linux keeps a high-water mark that can be reset")
def test_a_peak_is_what_was_held_for_a_moment() -> None:
    """In a process of its own: in this one, what earlier tests left may be given back meanwhile."""
    told = subprocess.run([sys.executable, "-c", HOLD_AND_TELL], capture_output=True, text=True, check=True).stdout
    taken, afterwards = map(int, told.split())
    assert (1 << 26) * 0.9 < taken < (1 << 28)
    assert afterwards < taken


def test_where_nobody_tells_there_is_no_peak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(peak, "STATUS", tmp_path / "none")
    assert PeakMeter(CPU).taken() is None
    monkeypatch.setattr(peak, "RESET", tmp_path / "none" / "none")
    assert PeakMeter(CPU).taken() is None


def test_a_runner_is_charged_for_its_model_and_its_stores(lab: Any) -> None:
    engine = lab.engine(lab.method("vlcache"))
    response = engine.answer(lab.ask("x ", lab.picture(0)))
    if response.peak_bytes is not None:
        assert response.peak_bytes >= lab.adapter.weight_bytes
    assert lab.adapter.weight_bytes == sum(part.numel() * 4 for part in lab.stock.parameters())
