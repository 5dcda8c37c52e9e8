"""Runs on a cluster: the same records as here, wherever their cells are asked, and also when a worker is lost."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from runners.cluster.cell import Cell
from runners.records import Record
from vlcache_cli.app import main

USUAL = ("--workload", "binding,doc-qa", "--samples", "10", "--blocks", "2", "--warmup", "0", "--json")
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray")
TIMES = ("timing", "node", "order", "peak_bytes")


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """Records by key, without what differs from machine to machine."""
    found: dict[str, dict[str, Any]] = {}
    for line in (folder / "records.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        assert record["key"] not in found
        found[record["key"]] = {name: value for name, value in record.items() if name not in TIMES}
    return found


def test_blocks_are_streams_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = ("bench", "--workload", "doc-qa", "--runner", "full,full-reuse", "--warmup", "0", "--json")
    assert main([*many, "--samples", "9", "--blocks", "2", "--seed", "5", "--output", str(tmp_path / "both")]) == 0
    assert main([*many, "--samples", "4", "--seed", "5", "--output", str(tmp_path / "first")]) == 0
    assert main([*many, "--samples", "5", "--seed", "6", "--output", str(tmp_path / "second")]) == 0
    both, first, second = (told(tmp_path / name) for name in ("both", "first", "second"))
    assert len(both) == 18
    assert {key: both[key] for key in first} == first
    for key, record in second.items():
        workload, request, runner = key.split("/")
        mine = both[f"{workload}/1.{request}/{runner}"]
        own = ("key", "request", "cluster_id")
        assert {name: mine[name] for name in mine if name not in own} == {
            name: record[name] for name in record if name not in own
        }
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (("--on", "elsewhere"), "must be local, ray or ray://HOST:PORT"),
        (("--on", "ray://x:1:2"), "must be local, ray or ray://HOST:PORT"),
        (("--blocks", "0"), "blocks"),
        pytest.param(("--on", "ray", "--until-decided"), "decides behind whole blocks, asked at once", marks=needs_ray),
        pytest.param(("--on", "ray", "--concurrency", "2"), "--on ray asks requests one by one", marks=needs_ray),
        pytest.param(
            ("--on", "ray", "--runner", "endpoint@url=http://h/v1,name=s"),
            "a server is asked from one place",
            marks=needs_ray,
        ),
    ],
)
def test_what_cannot_be_spread_is_told(refused: Callable[..., str], arguments: tuple[str, ...], mistake: str) -> None:
    assert mistake in refused(*arguments)


def test_without_ray_it_is_told_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runners.cluster.ray.find_spec", lambda name: None)
    usual = ("bench", "--workload", "doc-qa", "--samples", "2", "--runner", "full", "--output", str(tmp_path / "run"))
    assert main([*usual, "--on", "ray"]) == 2
    assert "pip install 'vlcache[ray]'" in capsys.readouterr().err


def test_blocks_of_given_requests_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "mine.jsonl"
    lines.write_text('{"text": "What is 2 + 2?"}\n' * 4, encoding="utf-8")
    usual = ("bench", "--workload", str(lines), "--runner", "full", "--output", str(tmp_path / "run"))
    assert main([*usual, "--blocks", "2"]) == 2
    assert "--blocks draws with other seeds" in " ".join(capsys.readouterr().err.split())


def test_decisions_behind_blocks_are_those_of_a_local_run_whichever_is_done_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def run_backwards(
        cells: Sequence[Cell], address: str | None, gpus: bool, needs: Callable[[Cell], bool]
    ) -> Iterator[tuple[Cell, list[Record]]]:
        assert (address, gpus) == (None, False)
        for cell in [*cells[1::-1], *cells[2:]]:
            if needs(cell):
                asked.append(cell.block)
                yield cell, [*cell.records()]

    monkeypatch.setattr("runners.cluster.ray.require_ray", lambda: None)
    monkeypatch.setattr("runners.cluster.ray.run_cells", run_backwards)
    usual = ("bench", "--workload", "doc-qa", "--runner", "full,full-reuse", "--warmup", "0", "--device", "cpu")
    deciding = (*usual, "--json", "--until-decided", "--max-samples", "16", "--blocks", "4", "--margin", "0.7")
    assert main([*deciding, "--on", "ray", "--output", str(tmp_path / "ray")]) == 0
    assert main([*deciding, "--output", str(tmp_path / "local")]) == 0
    capsys.readouterr()
    assert decisions(tmp_path / "ray") == decisions(tmp_path / "local") != []
    records = told(tmp_path / "ray")
    assert records == told(tmp_path / "local")
    assert asked[:2] == [1, 0]
    assert len(asked) < 4


def decisions(folder: Path) -> list[dict[str, Any]]:
    """Those of a run, without their times."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    return [{**decision, "seconds": None} for decision in manifest["decisions"]]


def kill_one_worker(killed: list[int], ended: threading.Event) -> None:
    """Kill the first worker that asks a cell, once it has had time to begin."""
    while not ended.wait(0.1):
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            except OSError:
                continue
            if command.startswith(b"ray::_answer"):
                time.sleep(1.0)
                os.kill(int(entry.name), signal.SIGKILL)
                killed.append(int(entry.name))
                return


@needs_ray
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_sweep_on_two_workers_one_of_them_killed_gives_the_records_of_a_local_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ("sweep", *USUAL, "--runner", "full,cacheblend", "--recompute-ratio", "0,0.2")
    killed: list[int] = []
    ended = threading.Event()
    killer = threading.Thread(target=kill_one_worker, args=(killed, ended))
    killer.start()
    try:
        assert main([*sweep, "--on", "ray", "--output", str(tmp_path / "ray")]) == 0
    finally:
        ended.set()
        killer.join()
    assert killed, "no worker was seen"
    assert main([*sweep, "--output", str(tmp_path / "local")]) == 0
    capsys.readouterr()
    assert told(tmp_path / "ray") == told(tmp_path / "local")
    nodes = [json.loads(line)["node"] for line in (tmp_path / "ray" / "records.jsonl").read_text("utf-8").splitlines()]
    assert all(nodes)


@needs_ray
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_until_decided_on_two_workers_ends_like_a_local_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    usual = ("bench", "--workload", "doc-qa", "--runner", "full,full-reuse,conduit", "--warmup", "0", "--json")
    deciding = ("--until-decided", "--max-samples", "48", "--blocks", "6", "--margin", "0.5")
    assert main([*usual, *deciding, "--on", "ray", "--output", str(tmp_path / "ray")]) == 0
    assert main([*usual, *deciding, "--output", str(tmp_path / "local")]) == 0
    capsys.readouterr()
    decisions = [
        json.loads((tmp_path / name / "manifest.json").read_text("utf-8"))["decisions"] for name in ("ray", "local")
    ]
    for decision in (*decisions[0], *decisions[1]):
        del decision["seconds"]
    assert decisions[0] == decisions[1]
    assert len(decisions[0]) == 2
    records = told(tmp_path / "ray")
    assert records == told(tmp_path / "local")
    assert 0 < len(records) < 48 * 3
