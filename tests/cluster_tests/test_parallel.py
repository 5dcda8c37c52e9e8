"""One model in two processes: the records of one process, no matter which runner; and nobody waits for the lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vlcache_cli.app import main

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "rank_processes.py"
REUSING = "full-reuse,cacheblend,conduit,prophetkv,kvshare,vlcache-paper,vlcache"
RUNNERS = (
    f"full,encoder-cache,prefix-cache,{REUSING}",
    "vlcache@share=0.2,name=share",
    "cacheblend@gradual=true,score=k,name=gradual",
)
ASKED = [argument for spec in RUNNERS for argument in ("--runner", spec)]
USUAL = ["bench", "--workload", "asked.jsonl", "--warmup", "0", "--json", "--device", "cpu", "--max-new-tokens", "2"]
TIERS = ["--device-budget", "100000", "--host-budget", "10000000"]
OF_MEMORY = (
    "stored_bytes",
    "host_bytes",
    "kv_bytes_per_token",
    "fetch_bytes",
)  # the encoder's output is whole in every process
MEASURED = ("timing", "peak_bytes", "cache", "demand", "repair", "kl")


@dataclass(frozen=True)
class Ended:
    """How the processes of a group ended: exit codes, and what each printed on stdout and stderr."""

    codes: list[int]
    out: list[str]
    err: list[str]


def run_groups(folder: Path, **groups: dict[str, Any]) -> dict[str, Ended]:
    """Run groups of processes at once, each one command line; see the script."""
    told = [{"name": str(folder / name), **group} for name, group in groups.items()]
    (folder / "groups.json").write_text(json.dumps(told), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder / "groups.json")],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    ended = {}
    for (name, group), codes in zip(groups.items(), json.loads(done.stdout), strict=True):
        out, err = (
            [(folder / f"{name}.{rank}.{stream}").read_text("utf-8") for rank in range(group["processes"])]
            for stream in ("out", "err")
        )
        ended[name] = Ended(codes, out, err)
    return ended


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """Records by key."""
    found = [json.loads(line) for line in (folder / "records.jsonl").read_text("utf-8").splitlines()]
    return {record["key"]: record for record in found}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked from one that has loaded all modules")
def test_two_processes_answer_as_one(family_of: Callable[[str], Any], tmp_path: Path) -> None:
    usual = [*USUAL, "--model", str(family_of("qwen3_vl").path)]
    write_requests(tmp_path)
    one, two = (
        {"processes": processes, "arguments": [*usual, *TIERS, *ASKED, "--output", f"run-{processes}"]}
        for processes in (1, 2)
    )
    lost = {
        "processes": 2,
        "lost_after": 9,
        "arguments": [*usual, "--runner", "full,full-reuse", "--output", "run-lost"],
    }
    refused = {
        "processes": 2,
        "arguments": [*usual, "--runner", "full", "--attn", "flash", "--output", "never"],
    }
    ended = run_groups(tmp_path, one=one, two=two, lost=lost, refused=refused)
    assert (ended["one"].codes, ended["two"].codes) == ([0], [0, 0]), ended
    leader, follower = zip(ended["two"].out, ended["two"].err, strict=True)
    assert follower == ("", "")
    assert json.loads(leader[0])["manifest"]["model"]["device"] == "2 x cpu"
    require_equal(records(tmp_path / "run-1"), records(tmp_path / "run-2"))
    assert ended["lost"].codes == [70, -9]
    assert (
        ended["lost"].err[0] == "vlcache: another process of the model ended or did not answer, and so ends this one\n"
    )
    assert len(records(tmp_path / "run-lost"))
    assert ended["refused"].codes == [2, 2]
    assert sorted(map(bool, ended["refused"].err)) == [False, True], "the line is told once"


def write_requests(folder: Path) -> None:
    """Write requests about three small pictures, which come back in other orders."""
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    shown = ([0, 1], [2], [1, 0, 2])
    lines = [
        json.dumps({"id": f"r{place}", "text": "What changed?", "images": [f"{each}.png" for each in media]})
        for place, media in enumerate(shown)
    ]
    (folder / "asked.jsonl").write_text("\n".join(lines), encoding="utf-8")


def require_equal(one: dict[str, dict[str, Any]], two: dict[str, dict[str, Any]]) -> None:
    """All that was answered, hit and executed is the same; divergences differ by rounding."""
    assert one.keys() == two.keys()
    for key, record in one.items():
        other = two[key]
        assert without(record, MEASURED) == without(other, MEASURED)
        assert record["kl"] == pytest.approx(other["kl"], abs=1e-5)
        for part in ("cache", "demand"):
            assert without(record[part], OF_MEMORY) == without(other[part], OF_MEMORY), key
        assert all((record["cache"][name] or 0) <= (other["cache"][name] or 0) for name in OF_MEMORY[:3])
        assert (record["repair"] is None) == (other["repair"] is None)
        for name, value in (record["repair"] or {}).items():
            assert value == (None if value is None else pytest.approx(other["repair"][name], rel=1e-3))
        assert (record["peak_bytes"] is None) == (other["peak_bytes"] is None)


def without(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """All values but some."""
    return {name: value for name, value in values.items() if name not in names}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--store-dir", "store"), "not with --store-dir: what is read from disk"),
        (("--concurrency", "2"), "not with load: it is made in processes"),
        (("--device-map", "auto"), "not with --device-map: each process"),
        (("--model", "shape:qwen2.5-vl-3b"), "not with random weights: each"),
        (("--runner", "endpoint@url=http://localhost:1/v1,name=s"), "not with servers: they run"),
        (("--on", "ray"), "not with --on ray: its workers"),
    ],
)
def test_what_processes_that_share_a_model_cannot_do_is_refused(
    refused: Callable[..., str], arguments: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_launch(monkeypatch)
    assert f"vlcache: started by torchrun, which divides one model among processes, {told}" in refused(*arguments)


def test_a_profile_is_measured_in_one_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pretend_launch(monkeypatch)
    assert main(["profile", "--output", str(tmp_path / "profile")]) == 2
    assert capsys.readouterr().err.startswith("vlcache: started by torchrun, but vlcache profile runs in one process")
    assert not (tmp_path / "profile").exists()


def pretend_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what torchrun would for rank 0 of two."""
    zero, two = ("RANK", "LOCAL_RANK"), ("WORLD_SIZE", "LOCAL_WORLD_SIZE")
    for name, value in {"TORCHELASTIC_RUN_ID": "none", **dict.fromkeys(zero, "0"), **dict.fromkeys(two, "2")}.items():
        monkeypatch.setenv(name, value)
