"""`vlcache sweep --distinct-media`: up to how many distinct media do caches pay?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.pictures.working_set import BreakEven, break_even
from reports.summary.row import Row
from vlcache_cli.app import main


def row(runner: str, gain: float | None) -> Row:
    return Row(
        runner=runner,
        workload="w",
        model="m",
        device="cpu",
        dtype="float32",
        requests=9,
        failed=0,
        fallbacks=0,
        margin=0.02,
        alpha=0.05,
        ttft_speedup_all=gain,
    )


def test_caches_pay_up_to_the_first_number_at_which_they_gain_nothing() -> None:
    gains = {"a": (3.0, 1.2, 1.0, 2.0), "b": (1.0, 1.0, 1.0, 1.0), "c": (2.0, 2.0, 2.0, None)}
    rows = {
        10**place: [row("full", 1.0), *(row(name, gain[place]) for name, gain in gains.items())] for place in range(4)
    }
    assert break_even(rows) == [BreakEven("a", 10), BreakEven("b", None), BreakEven("c", 100)]


def test_each_number_is_a_workload_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    usual = ("sweep", "--workload", "doc-qa", "--samples", "6", "--warmup", "0", "--output", str(run))
    assert main([*usual, "--runner", "full,prefix-cache", "--distinct-media", "3,1"]) == 0
    told = capsys.readouterr().err
    assert "doc-qa: prefix-cache pays " in told
    assert (run / "plots" / "working-set-doc-qa.png").is_file()
    lines = [json.loads(line) for line in (run / "records.jsonl").read_text("utf-8").splitlines()]
    warm = {
        name: sum(record["warmth"] == "warm" for record in lines if record["workload"] == name)
        for name in ("doc-qa@distinct=1", "doc-qa@distinct=3")
    }
    assert warm["doc-qa@distinct=1"] == 10
    assert 0 < warm["doc-qa@distinct=3"] < 10


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (("--workload", "gui-agent"), "--distinct-media is for image-chat"),
        (("--distinct-media", "0"), "distinct-media"),
        (("--distinct-media", "1.5"), "distinct-media"),
        (("--distinct-media", "x"), "distinct-media"),
    ],
)
def test_other_numbers_and_workloads_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], mistake: str
) -> None:
    usual = ("bench", "--samples", "2", "--runner", "full", "--output", str(tmp_path / "run"))
    distinct = () if "--distinct-media" in arguments else ("--distinct-media", "2")
    assert main([*usual, *distinct, *arguments]) == 2
    assert mistake in capsys.readouterr().err
