"""What a model takes and what is free: worked out from sizes, and read from the system's own files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runners.builtin.architecture import build_config, build_model
from runners.builtin.tokenizer import build_tokenizer
from runners.models import memory
from workloads.errors import UsageError

CPU = torch.device("cpu")
GIB = 2**30


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty root folder in place of the system's."""
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    return tmp_path


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def meminfo(root: Path, available: int) -> None:
    write(root, **{"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable:   {available // 1024} kB\nSwapFree: 0 kB\n"})


def group(root: Path, place: str, limit: str, used: int, droppable: int = 0) -> None:
    folder = f"sys/fs/cgroup/{place}"
    stat = f"anon 1\ninactive_file {droppable}\n"
    files = {"memory.max": limit, "memory.current": str(used), "memory.stat": stat}
    write(root, **{f"{folder}/{name}": text for name, text in files.items()})


def older_group(root: Path, place: str, limit: int, used: int, droppable: int = 0) -> None:
    folder = f"sys/fs/cgroup/memory/{place}"
    stat = f"rss 1\ntotal_inactive_file {droppable}\n"
    files = {"memory.limit_in_bytes": str(limit), "memory.usage_in_bytes": str(used), "memory.stat": stat}
    write(root, **{f"{folder}/{name}": text for name, text in files.items()})


def test_a_system_that_tells_nothing_is_not_judged(machine: Path) -> None:
    assert memory.free_bytes(CPU) is None
    model = build_model(build_config(build_tokenizer(), layers=1))
    memory.require_memory("any", model, CPU)


def test_a_machine_without_groups_has_what_its_kernel_says(machine: Path) -> None:
    meminfo(machine, 8 * GIB)
    assert memory.free_bytes(CPU) == 8 * GIB


@pytest.mark.parametrize(
    ("limit", "free"), [("max", 8 * GIB), (str(6 * GIB), 3 * GIB), (str(99 * GIB), 8 * GIB), (str(4 * GIB), GIB)]
)
def test_a_group_leaves_its_limit_less_what_it_holds(machine: Path, limit: str, free: int) -> None:
    meminfo(machine, 8 * GIB)
    write(machine, **{"proc/self/cgroup": "0::/a/b\n"})
    group(machine, "a/b", limit, used=4 * GIB, droppable=GIB)
    assert memory.free_bytes(CPU) == free


def test_a_limit_further_up_counts(machine: Path) -> None:
    meminfo(machine, 8 * GIB)
    write(machine, **{"proc/self/cgroup": "0::/a/b\n"})
    group(machine, "a", str(3 * GIB), used=GIB)
    group(machine, "a/b", "max", used=GIB)
    assert memory.free_bytes(CPU) == 2 * GIB


def test_groups_of_the_older_kind_are_read(machine: Path) -> None:
    meminfo(machine, 8 * GIB)
    write(machine, **{"proc/self/cgroup": "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n"})
    older_group(machine, ".", limit=9223372036854771712, used=GIB)
    older_group(machine, "a", limit=5 * GIB, used=4 * GIB, droppable=GIB)
    assert memory.free_bytes(CPU) == 2 * GIB


def test_a_container_sees_its_group_at_the_top(machine: Path) -> None:
    meminfo(machine, 8 * GIB)
    write(machine, **{"proc/self/cgroup": "4:memory:/of/the/host\n"})
    older_group(machine, ".", limit=2 * GIB, used=GIB)
    assert memory.free_bytes(CPU) == GIB


def test_this_machine_tells_what_is_free() -> None:
    if not Path("/proc/meminfo").exists():
        pytest.skip("not Linux")
    free = memory.free_bytes(CPU)
    assert free is not None
    assert 0 < free < 2**60


def test_a_model_takes_its_weights_its_keys_and_values_and_some_more() -> None:
    model = build_model(build_config(build_tokenizer(), layers=3))
    weights = sum(weight.numel() for weight in model.parameters()) * 4
    kv = 2 * 3 * 2 * 32 * 4 * memory.PROMPT_TOKENS
    needed = memory.needed_bytes(model)
    assert weights + 2 * kv + memory.OVERHEAD_BYTES < needed < weights + 2 * kv + memory.OVERHEAD_BYTES + 30_000_000
    assert memory.needed_bytes(model.bfloat16()) - memory.OVERHEAD_BYTES == (needed - memory.OVERHEAD_BYTES) / 2


@pytest.mark.parametrize(("spare", "refused"), [(0, False), (-1, True)])
def test_a_model_that_just_fits_is_not_refused(spare: int, refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(build_config(build_tokenizer(), layers=1))
    monkeypatch.setattr(memory, "free_bytes", lambda device: memory.needed_bytes(model) + spare)
    if not refused:
        memory.require_memory("mine", model, CPU)
        return
    with pytest.raises(
        UsageError, match=r"^model 'mine' needs about 1\.0 GB in float32, and 1\.0 GB are free on cpu: "
    ):
        memory.require_memory("mine", model, CPU)


@given(size=st.integers(0, 10**13))
def test_gigabytes_are_told_to_two_digits_at_least(size: int) -> None:
    number, unit = memory._gigabytes(size).split()
    assert unit == "GB"
    assert abs(float(number) * 1e9 - size) <= (5e8 if size >= 10**10 else 5e7)


@pytest.mark.gpu
def test_a_gpu_tells_what_is_free() -> None:
    free = memory.free_bytes(torch.device("cuda"))
    assert free is not None
    assert 0 < free <= torch.cuda.get_device_properties(0).total_memory
