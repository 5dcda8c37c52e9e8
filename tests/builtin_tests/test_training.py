"""Training can be killed at any moment and goes on as if it had not been."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer, Qwen2_5_VLForConditionalGeneration
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from runners.builtin import train as recipe
from runners.builtin.architecture import build_config, build_model
from runners.builtin.card import write_card
from runners.builtin.curriculum import CURRICULA, Cycle, Stage, place_of, total_steps
from runners.builtin.grow import grow_from
from runners.builtin.lessons import Lesson, Syllabus, draw_lesson
from runners.builtin.tokenizer import build_tokenizer
from workloads.errors import UsageError

LESSONS = 2
SYLLABUS = Syllabus((4, 4), (4, 5), 8, (1, 2), 3, {"album": 1.0, "binding": 1.0, "video": 1.0, "hop": 1.0})
TINY = (
    Cycle(2e-3, (Stage("one", 3, LESSONS, SYLLABUS), Stage("two", 2, LESSONS, SYLLABUS))),
    Cycle(1e-3, (Stage("three", 2, LESSONS, SYLLABUS),)),
)


@pytest.fixture(autouse=True)
def _frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "CHECKPOINT_EVERY", 2)
    monkeypatch.setattr(recipe, "LOG_EVERY", 1)


def _options(output: Path) -> Namespace:
    return Namespace(
        output=output,
        seed=1,
        layers=2,
        curriculum="tiny",
        rotary_base=10_000.0,
        grow_from=None,
        compile=False,
        bfloat16=False,
        device="cpu",
    )


def _log(output: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (output / "training_log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def _killed_at(step: int, draw: Callable[..., Lesson]) -> Callable[..., Lesson]:
    """``draw_lesson``, until the step is reached."""
    drawn = 0

    def draw_or_die(*args: Any) -> Lesson:
        nonlocal drawn
        drawn += 1
        if drawn > step * LESSONS:
            raise KeyboardInterrupt
        return draw(*args)

    return draw_or_die


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole training without a stop."""
    output = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "LOG_EVERY", 1)
        recipe.train(_options(output), TINY)
    return output


@pytest.mark.parametrize("stops", [(1,), (2,), (5,), (3, 2)])
def test_a_resumed_training_ends_in_the_same_model(
    unbroken: Path, tmp_path: Path, stops: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for stop in stops:
        with monkeypatch.context() as patch:
            patch.setattr(recipe, "draw_lesson", _killed_at(stop, draw_lesson))
            with pytest.raises(KeyboardInterrupt):
                recipe.train(_options(tmp_path), TINY)
        with (tmp_path / "training_log.jsonl").open("a") as log:
            log.write('{"step": 1, "los')
    recipe.train(_options(tmp_path), TINY)

    expected, resumed = (load_file(output / "model.safetensors") for output in (unbroken, tmp_path))
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    assert _log(tmp_path) == _log(unbroken)
    assert [line["step"] for line in _log(unbroken)] == list(range(1, 8))


def test_what_is_written_loads_with_the_auto_classes(unbroken: Path) -> None:
    weights = load_file(unbroken / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(unbroken)
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items() if name in weights)
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight
    assert AutoConfig.from_pretrained(unbroken).text_config.num_hidden_layers == 2
    tokenizer = AutoTokenizer.from_pretrained(unbroken)
    assert tokenizer.encode("Value of a") == build_tokenizer().encode("Value of a")
    assert tokenizer.chat_template == build_tokenizer().chat_template
    processor = AutoImageProcessor.from_pretrained(unbroken)
    assert (processor.patch_size, processor.merge_size) == (8, 2)


@pytest.mark.parametrize("layers", [2, 5])
def test_a_grown_model_begins_as_the_trained_one(unbroken: Path, layers: int) -> None:
    shallow = Qwen2_5_VLForConditionalGeneration.from_pretrained(unbroken)
    deep = build_model(build_config(build_tokenizer(), layers))
    grow_from(deep, unbroken)
    ids = torch.tensor([build_tokenizer().encode("Value of a and what is it")])
    with torch.no_grad():
        torch.testing.assert_close(deep(input_ids=ids).logits, shallow(input_ids=ids).logits, atol=1e-5, rtol=1e-5)
    with pytest.raises(UsageError, match="has 2 layers"):
        grow_from(build_model(build_config(build_tokenizer(), layers=1)), unbroken)


def test_a_card_tells_how_the_model_was_made_and_the_one_it_began_as(unbroken: Path, tmp_path: Path) -> None:
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(unbroken)
    first = recipe.made_with(_options(tmp_path), 7)
    write_card(tmp_path, model, first, {"doc-qa": {"all": 1.0, "value": 1.0}})
    assert "rotary base of 10,000, the usual one" in (tmp_path / "README.md").read_text()

    config: Any = model.config
    config.vision_config.rope_parameters["rope_theta"] = 50.0
    (tmp_path / "unusual").mkdir()
    write_card(tmp_path / "unusual", model, first, {"doc-qa": {"all": 1.0, "value": 1.0}})
    assert "rotary base of 50, and not 10,000" in (tmp_path / "unusual" / "README.md").read_text()

    options = _options(tmp_path / "grown")
    options.grow_from, options.rotary_base = tmp_path, 50.0
    second = recipe.made_with(options, 9)
    assert "--rotary-base 50`" in second
    assert second.endswith(f"in 9 steps; BEGUN by {first}")


def test_the_learning_rate_warms_up_holds_and_falls_to_nothing_in_every_cycle() -> None:
    first, second = Stage("a", 400, 1, SYLLABUS), Stage("b", 600, 1, SYLLABUS)
    cycles = (Cycle(1.0, (first, second)), Cycle(0.5, (first,)))
    rates = [recipe._learning_rate(place_of(step, cycles)) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / recipe.WARMUP_STEPS)
    assert rates[recipe.WARMUP_STEPS : 700] == [1.0] * (700 - recipe.WARMUP_STEPS)
    assert all(a > b for a, b in pairwise(rates[701:]))
    assert 0 < rates[-1] < 1e-4
    assert recipe._learning_rate(place_of(1000, cycles)) == pytest.approx(0.5 / recipe.WARMUP_STEPS)


@pytest.mark.parametrize("name", CURRICULA)
def test_every_step_has_one_place_and_the_stages_come_in_order(name: str) -> None:
    curriculum = CURRICULA[name]
    steps = total_steps(curriculum)
    stages = [place_of(step, curriculum).stage for step in range(steps)]
    assert list(dict.fromkeys(stage.name for stage in stages)) == [s.name for cycle in curriculum for s in cycle.stages]
    assert all(stages.count(stage) == stage.steps for cycle in curriculum for stage in cycle.stages)
    with pytest.raises(ValueError, match="over"):
        place_of(steps, curriculum)
