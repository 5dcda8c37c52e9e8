"""Dividing a model among processes: what torchrun says, which plan is made, and what cannot be divided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from runners.models import division
from runners.models.division import plan_division
from runners.parallel import failures
from runners.parallel.group import noticing_loss, require_devices
from runners.ranks import Launch, RankLost, launched, refuse_launch
from workloads.errors import UsageError

LAUNCH = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what torchrun would."""

    def start(**changes: str) -> None:
        for name, value in (LAUNCH | changes).items():
            monkeypatch.setenv(name, value)

    return start


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert launched() is None
    refuse_launch("this command")


def test_torchrun_says_which_process_this_is(started: Callable[..., None]) -> None:
    started()
    assert launched() == Launch(rank=1, size=4, local_rank=1, local_size=2)
    assert Launch(1, 4, 1, 2).follows
    assert not Launch(0, 4, 0, 2).follows
    started(WORLD_SIZE="1")
    assert launched() is None


def test_a_command_that_runs_in_one_process_is_refused(started: Callable[..., None]) -> None:
    started()
    with pytest.raises(UsageError, match=r"^started by torchrun, but vlcache profile runs in one process: torchrun is"):
        refuse_launch("vlcache profile")
    started(RANK="first")
    with pytest.raises(UsageError, match=r"^started by torchrun, whose environment is incomplete \(invalid literal"):
        launched()


def outline_of(path: Any) -> Any:
    """The model without weights."""
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(path))


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen3_vl_moe", "llava", "internvl"])
def test_heads_of_every_family_are_divided_and_dense_mlps(
    family: str, family_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(division, "ranks", lambda: 2)
    config = plan_division("mine", outline_of(family_of(family).path))
    assert config is not None
    assert config.tp_size == 2
    plan = config.tp_plan
    assert isinstance(plan, dict)
    layer = "model.language_model.layers.*."
    assert {plan[f"{layer}self_attn.{part}_proj"] for part in "qkv"} == {"colwise"}
    assert plan[f"{layer}self_attn.o_proj"] == "rowwise"
    if family != "qwen3_vl_moe":  # transformers' own plan says what is done with experts
        assert [plan[f"{layer}mlp.{part}_proj"] for part in ("gate", "up", "down")] == ["colwise"] * 2 + ["rowwise"]
    assert not any("vision" in name or "visual" in name for name in plan)


def test_alone_nothing_is_divided() -> None:
    assert plan_division("mine", None) is None


@pytest.mark.parametrize(("parts", "told"), [(3, "4 heads"), (4, "2 heads of keys and values")])
def test_what_cannot_be_shared_evenly_is_refused(
    parts: int, told: str, family_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(division, "ranks", lambda: parts)
    with pytest.raises(UsageError, match=f"^model 'mine' has {told}, which {parts} processes cannot share evenly: "):
        plan_division("mine", outline_of(family_of("qwen3_vl").path))


class Shared:
    """What a store keeps, for processes that are imagined."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def compare_set(self, key: str, expected_value: str, desired_value: str) -> bytes:
        """See ``SharedStore``."""
        assert expected_value == ""
        return self.values.setdefault(key, desired_value).encode()


def test_the_first_failure_is_told_and_its_code_is_that_of_all() -> None:
    assert failures.code_told_elsewhere(2, interrupted=False) is None, "nobody else is there"
    store = Shared()
    try:
        failures.share(store, rank=1)
        assert failures.code_told_elsewhere(130, interrupted=True) == 130
        assert store.values == {}
        assert failures.code_told_elsewhere(2, interrupted=False) is None
        failures.share(store, rank=0)
        assert failures.code_told_elsewhere(70, interrupted=False) == 2
        assert failures.code_told_elsewhere(130, interrupted=True) == 2
        failures.share(store, rank=1)
        assert failures.code_told_elsewhere(2, interrupted=False) is None
    finally:
        failures.unshare()
    assert failures.code_told_elsewhere(70, interrupted=False) is None


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (
            RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [::1]:1"),
            RankLost,
            "another process",
        ),
        (RuntimeError("Timed out waiting 600000ms for recv operation to complete"), RankLost, "another process"),
        (torch.OutOfMemoryError("CUDA out of memory"), UsageError, "ran out of memory: start more of them"),
        (MemoryError(), UsageError, "ran out of memory: start more of them"),
        (RuntimeError("shape '[2]' is invalid"), RuntimeError, "is invalid"),
    ],
)
def test_what_ends_all_processes_is_told_in_a_line(error: Exception, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told) as caught, noticing_loss():
        raise error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("seen", "device", "told"),
    [
        (0, "cuda", "torch sees no CUDA device"),
        (1, "auto", "torchrun started 2 processes here, and torch sees 1 CUDA devices: use --nproc-per-node 1"),
        (2, "cpu", "hide the CUDA devices"),
    ],
)
def test_each_process_needs_a_device(seen: int, device: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    with pytest.raises(UsageError, match=told):
        require_devices(Launch(0, 4, 0, 2), device)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    if seen:
        require_devices(Launch(0, 4, 0, 2), "auto")
