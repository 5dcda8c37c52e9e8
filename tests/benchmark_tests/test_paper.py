"""The paper's table: all its arms at every size, parts that add up, gains split, published cells beside ours."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest

from runners.models.shapes.catalogue import Shape, find_shape
from vlcache_cli.config.commands import BenchConfig
from vlcache_cli.config.layers import resolve
from vlcache_cli.jobs.bench import parse_runners

REQUESTS = 2
SIZES = (24, 48)  # tokens of each of two pages


@dataclass(frozen=True)
class Measured:
    code: int
    text: str
    run: Any


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("paper")


@pytest.fixture(scope="module")
def measured(script: ModuleType, in_this_process: None, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    output = tmp_path_factory.mktemp("paper")
    sizes = [part for tokens in SIZES for part in ("--size", f"2x{tokens}")]
    few = ["--requests", str(REQUESTS), "--warmup", "0", "--device-budget", "64MiB", "--host-budget", "0"]
    with redirect_stdout(io.StringIO()) as text:
        code = script.main(["--model", "builtin", "--device", "cpu", *sizes, *few, "--output", str(output)])
    size = script.Size(2, SIZES[0])
    return Measured(code, text.getvalue(), script.read_runs([size], output)[size])


def cells(text: str, heading: str) -> list[list[str]]:
    """The first table under a heading, without its heads."""
    lines = text.split(heading)[1].split("\n\n")[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize("tokens", SIZES)
def test_every_arm_has_a_line_whose_parts_and_gains_add_up(script: ModuleType, measured: Measured, tokens: int) -> None:
    assert measured.code == 0, measured.text
    lines = cells(measured.text, f"## builtin, {2 * tokens} image tokens (2 pages of {tokens} vision tokens), ")
    assert {line[1].strip("`"): line[0] for line in lines} == script.ARMS
    for _, runner, warm, ttft, encoder, language, faster, by_encoder, by_kv, computed, *published in lines:
        assert int(warm) == REQUESTS
        assert float(encoder) + float(language) <= float(ttft) + 0.2  # gaps are told
        assert (float(encoder) > 1) == (runner == "`full`")
        assert (float(computed) == 100) == (runner in ("`full`", "`encoder-cache`"))
        assert (by_encoder == "-") == (runner == "`full`")
        assert (by_kv == "-") == (runner in ("`full`", "`encoder-cache`"))
        assert float(faster) > 0
        assert published == ["-", "-"]


def test_the_gains_of_a_request_multiply(script: ModuleType, measured: Measured) -> None:
    one = {record.request for record in measured.run.warm("full")}.pop()
    run = replace(measured.run, records=[record for record in measured.run.records if record.request == one])
    for runner in script.ARMS:
        split = script.gain(run, "full", "encoder-cache") * script.gain(run, "encoder-cache", runner)
        assert script.gain(run, "full", runner) == pytest.approx(split)


def test_parts_that_do_not_add_up_are_told(script: ModuleType, measured: Measured) -> None:
    assert script.gaps(measured.run) == []

    def longer(record: Any, times: float) -> Any:
        parts = sum(getattr(record.timing, f"{part}_ms") for part in script.PARTS)
        return replace(record, timing=replace(record.timing, ttft_ms=parts * times))

    all_longer = [longer(record, 1.25 if record.runner == "full" else 1.0) for record in measured.run.records]
    (line,) = script.gaps(replace(measured.run, records=all_longer))
    assert line == "full: the parts leave out 20 % of TTFT or more"
    interrupted = [longer(record, 2.0 if record.request == "all-0" else 1.0) for record in measured.run.records]
    assert script.gaps(replace(measured.run, records=interrupted)) == []


def test_the_parts_that_are_shown_are_of_one_request(script: ModuleType, measured: Measured) -> None:
    times = list(script.timings(measured.run, "full").values())
    scaled = [replace(times[0], ttft_ms=float(ms)) for ms in (30, 10, 40, 20)]
    assert [script.middle(scaled[:count]).ttft_ms for count in (1, 2, 3, 4)] == [30, 10, 30, 20]
    assert script.middle([]) is None


@pytest.mark.parametrize("model", ["shape:qwen3-vl-8b", "shape:qwen3-vl-8b-small"])
def test_published_cells_stand_beside_ours(script: ModuleType, measured: Measured, model: str) -> None:
    table = script.table(measured.run, model, script.Size(8, 2500))
    told = {line.split(" | ")[1].strip("`"): line.strip(" |").split(" | ")[-2:] for line in table.splitlines()[2:]}
    assert told["full"] == ["8.784", "1.00"]
    assert told["encoder-cache"] == ["7.565", "1.16"]
    assert told["full-reuse"] == ["4.430", "1.98"]
    assert told["vlcache"] == ["-", "-"]
    assert len(cells(measured.text, "## Published cells")) == len(script.PUBLISHED)


def test_published_ratios_are_those_of_the_published_seconds(script: ModuleType) -> None:
    for cell in script.PUBLISHED.values():
        origin, _ = cell.of("full")
        for runner in ("encoder-cache", "full-reuse"):
            seconds, times = cell.of(runner)
            assert seconds is None or origin / seconds == pytest.approx(times, rel=0.01)


def test_the_arms_are_those_of_the_preset(script: ModuleType) -> None:
    config = resolve(BenchConfig, {"preset": "paper"})
    specs = parse_runners(config, config.recompute_ratio)
    assert [spec.label for spec in specs] == list(script.ARMS)
    assert {spec.options["ratio"] for spec in specs[3:]} == {0.05}
    assert [spec.options.get("profile", "auto") for spec in specs[3:5]] == ["flat", "auto"]


def test_the_real_sizes_are_the_papers(script: ModuleType) -> None:
    sizes = [script.Size.parse(size) for size in script.SIZES]
    assert sorted(size.pages * size.tokens for size in sizes) == [1000, 1400, 5000, 10_000, 20_000]
    assert all(size.pages > 1 and size.tokens <= 2500 for size in sizes)


def test_a_small_shape_has_the_proportions_of_a_published_one(script: ModuleType) -> None:
    for small, model in script.PROPORTIONS.items():
        texts, visions = zip(*(_parts(find_shape(name)) for name in (small, model)), strict=True)
        wide = {texts[1][key] / texts[0][key] for key in ("hidden_size", "intermediate_size", "num_attention_heads")}
        wide |= {visions[1][key] / visions[0][key] for key in ("hidden_size", "intermediate_size", "num_heads")}
        deep = {
            texts[1]["num_hidden_layers"] / texts[0]["num_hidden_layers"],
            visions[1]["depth"] / visions[0]["depth"],
        }
        assert (wide, deep) == ({8.0}, {9.0})
        assert texts[0]["head_dim"] == texts[1]["head_dim"]


def _parts(shape: Shape) -> tuple[Any, Any]:
    return shape.config["text_config"], shape.config["vision_config"]
