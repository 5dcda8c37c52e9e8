"""The fair baseline: both sides do the same work on the same weights, and what is printed is their ratio."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from runners.base import Request

REQUESTS = 3
TOLERANCE = 2e-4  # of float32 logits of order 1


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("full_vs_transformers")


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
@torch.inference_mode()
def test_both_sides_start_from_the_same_and_come_to_the_same(
    script: ModuleType, family_of: Callable[[str], Any], family: str
) -> None:
    model, stock = script.load(str(family_of(family).path), "float32", "cpu", None)
    adapter, workspace = model.adapter, model.workspace
    engine = script.Engine(adapter, workspace, script.FullRecompute(), budget=0)
    for request in script.asked_by("doc-qa", REQUESTS):
        answer = engine.answer(request)
        prepared = script.prepare(stock, request)
        expected = torch.from_numpy(answer.first_logits)
        for logits in (script.our_prefill(adapter, workspace, prepared), script.stock_prefill(stock, prepared)):
            torch.testing.assert_close(logits, expected, atol=TOLERANCE, rtol=0)
        assert stock.first_token(request) == answer.token_ids[0]


def test_weights_are_shared_and_attention_is_not(script: ModuleType, family_of: Callable[[str], Any]) -> None:
    model, stock = script.load(str(family_of("qwen2_5_vl").path), "float32", "cpu", "eager")
    adapter = model.adapter
    pairs = list(zip(adapter._visual.parameters(), stock.model.model.visual.parameters(), strict=True))
    pairs += zip(adapter._text.parameters(), stock.model.model.language_model.parameters(), strict=True)
    assert len(pairs) > 20
    assert all(ours.data_ptr() == theirs.data_ptr() for ours, theirs in pairs)
    assert all(theirs.requires_grad for theirs in stock.model.parameters())
    for ours, theirs in (
        (adapter._visual, stock.model.model.visual),
        (adapter._text, stock.model.model.language_model),
    ):
        assert ours is not theirs
        assert (ours.config._attn_implementation, theirs.config._attn_implementation) == ("sdpa", "eager")


def test_one_command_compares_and_judges(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--tokens", "12", "--pages", "2", "--requests", str(REQUESTS), "--warmup", "1"]
    assert script.main([*sizes, "--device", "cpu", "--at-most", "0"]) == 1
    first, second, *results, verdict = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"builtin, float32, on cpu \(.*, \d+ threads\), the last request of 24 vision tokens; "
        r"transformers [\d.]+, torch \S+",
        first,
    )
    assert second == "attention: ours sdpa, transformers sdpa; ours in one product: nothing"
    number = r"(\d+\.\d+)"
    for title, line in zip(("TTFT from encoded files", "prefill alone"), results, strict=True):
        match = re.fullmatch(
            rf"{title}: ours {number} ms, transformers {number} ms, ratio {number} \[{number}, {number}\], "
            rf"same token {REQUESTS}/{REQUESTS}",
            line,
        )
        assert match is not None
        low, high = float(match[4]), float(match[5])
        assert 0 < low <= float(match[3]) <= high
    assert re.fullmatch(rf"TTFT: the ratio's interval reaches {number}, above 0", verdict)


def test_a_workload_can_be_asked(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--workload", "image-chat", "--requests", "2", "--warmup", "0", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.count("same token 2/2") == 2


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--workload", "doc-q"], "unknown workload 'doc-q': did you mean 'doc-qa'?"),
        (["--model", "shape:qwen3-vl-3b"], "unknown shape 'qwen3-vl-3b': did you mean 'qwen3-vl-32b'?"),
        (
            ["--stock-attn", "flash_attention_2"],
            "flash_attention_2 needs flash-attn, a CUDA device and 16-bit numbers: use --stock-attn sdpa",
        ),
        (
            ["--tokens", "2000"],
            "pages.py: a page of 2000 vision tokens has 512,000 pixels, and the image processor of 'builtin' scales "
            "those of less than 256 or more than 327,680: use 1 to 1280 tokens",
        ),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_line(
    script: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert script.main(["--requests", "1", "--device", "cpu", *arguments]) == 2
    assert capsys.readouterr() == ("", f"full_vs_transformers.py: {line}\n")


def test_a_family_without_a_stock_path_is_refused(
    script: ModuleType, family_of: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = family_of("internvl").path
    assert script.main(["--requests", "1", "--device", "cpu", "--model", str(path)]) == 2
    line = f"full_vs_transformers.py: model '{path}' is no Qwen-VL: the stock path is written for those alone"
    assert capsys.readouterr().err == f"{line}\n"


def test_the_ratio_is_taken_request_by_request(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    requests = [Request(str(number), (), 1) for number in range(10)]
    asked: list[str] = []

    def answering(name: str, factor: float) -> Callable[[Request], tuple[int, float]]:
        def answer(request: Request) -> tuple[int, float]:
            asked.append(name)
            return int(request.id) % 5 * int(factor), factor * 10 ** int(request.id)

        return answer

    assert script.compare("title", requests, 4, answering("ours", 3.0), answering("theirs", 2.0)) == 1.5
    assert capsys.readouterr().out.endswith("ratio 1.500 [1.500, 1.500], same token 2/10\n")
    assert asked[:8] == ["ours", "theirs"] * 4
    turns = list(zip(asked[8::2], asked[9::2], strict=True))
    assert set(turns) == {("ours", "theirs"), ("theirs", "ours")}
