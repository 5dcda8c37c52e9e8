"""A shape becomes a model that answers, where its family has an adapter and the machine has room."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from runners.base import Request
from runners.defaults import RunnerDefaults
from runners.engine.adapters.registry import ADAPTERS
from runners.local import build_runner
from runners.models import memory
from runners.models.load import MODELS, LoadedModel, describe_models, load_model, resolve_model
from runners.models.shapes import assembly
from runners.models.shapes.catalogue import Shape
from runners.records import Status
from runners.registry import parse_specs
from workloads.errors import UsageError
from workloads.records import Media, Message
from workloads.synthetic.drawing import Grid, Page, encode_png

LONG = 6


def loaded(shape: Shape, dtype: str = "auto") -> LoadedModel:
    return load_model(f"shape:{shape.name}", resolve_model(f"shape:{shape.name}"), dtype, "cpu")


def supported(shape: Shape) -> Shape:
    """The shape; the test is skipped while its family has no adapter."""
    if shape.family.name not in ADAPTERS:
        pytest.skip(f"no adapter for {shape.family.name}")
    return shape


def picture(letter: str) -> Media:
    return Media("image", encode_png(Page(Grid(4, 4), {(1, 2): letter})), f"{letter}.png")


def asked(name: str, *content: str | Media) -> Request:
    return Request(name, (Message("user", content),), LONG)


def test_a_shape_answers_and_reuses(shape: Shape) -> None:
    model = loaded(supported(shape))
    specs = parse_specs(["full,full-reuse,vlcache"], RunnerDefaults(recompute_ratio=0.5))
    full, reuse, ours = (build_runner(spec, model) for spec in specs)
    requests = [asked("cold", picture("A"), "What is here?"), asked("warm", "And now?", picture("A"), "Well?")]
    for runner in (full, reuse, ours):
        answers = [runner.answer(request) for request in requests]
        assert [answer.status for answer in answers] == [Status.OK, Status.OK], [answer.error for answer in answers]
        for answer in answers:
            assert len(answer.token_ids) == LONG
            assert answer.first_logits is not None
            assert np.isfinite(answer.first_logits).all()
            assert answer.first_logits.std() > 0
    warm = answers[1].cache
    assert warm is not None
    assert warm.planned_token_layers == warm.computed_token_layers < warm.vision_tokens * warm.layers


def test_answers_never_end_early(shape: Shape) -> None:
    assert loaded(supported(shape)).adapter.end_tokens == frozenset()


def test_the_manifest_tells_what_random_weights_mean(shape: Shape) -> None:
    model = loaded(supported(shape))
    told = model.describe()
    assert (told["random_weights"], told["data_dependent_stopping"]) == (True, False)
    assert (told["dtype"], told["attention"], told["revision"]) == ("bfloat16", "sdpa", None)
    assert json.loads(json.dumps(told)) == told
    (spec,) = parse_specs(["vlcache@probe=0+1"], RunnerDefaults())
    described = build_runner(spec, model).describe()
    assert described["options"]["probe"] == "0+1"
    assert described["promised_risk"] is None, "no risk can be estimated: a given share is computed"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_number_format_can_be_chosen(tiny_shapes: object, dtype: str) -> None:
    shape = resolve_model("shape:qwen2_5_vl")
    assert load_model("shape", shape, dtype, "cpu").describe()["dtype"] == dtype


def test_equal_shapes_are_one_model(shape: Shape) -> None:
    assert assembly.fingerprint(shape) == assembly.fingerprint(resolve_shape(shape.name))
    changed = replace(shape, config={**shape.config, "tie_word_embeddings": not shape.config["tie_word_embeddings"]})
    assert assembly.fingerprint(changed) != assembly.fingerprint(shape)


def test_a_family_without_an_adapter_is_refused_before_anything_is_built(
    shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(ADAPTERS, shape.family.name, raising=False)
    monkeypatch.setattr(assembly, "outline", never)
    known = ", ".join(sorted(ADAPTERS))
    with pytest.raises(UsageError) as caught:
        loaded(shape)
    line = f"model 'shape:{shape.name}': architecture '{shape.family.name}' is not supported; supported: {known}"
    assert str(caught.value) == line


def test_what_does_not_fit_is_said_before_anything_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "fill", never)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 17 * 10**9)
    for dtype, needed, advice in (
        ("auto", "152 GB in bfloat16", "use a smaller model"),
        ("float32", "302 GB in float32", "use --dtype bfloat16 or a smaller model"),
    ):
        with pytest.raises(UsageError) as caught:
            load_model("shape:qwen2.5-vl-72b", resolve_model("shape:qwen2.5-vl-72b"), dtype, "cpu")
        line = f"model 'shape:qwen2.5-vl-72b' needs about {needed}, and 17 GB are free on cpu: {advice}"
        assert str(caught.value) == line


def test_every_shape_is_listed() -> None:
    listed = describe_models()
    assert listed["shape:qwen3-vl-8b"] == (
        "random weights in the shape of Qwen/Qwen3-VL-8B-Instruct, 8.77 billion parameters"
    )
    assert next(iter(listed)) == "builtin"
    assert all(isinstance(resolve_model(name), Shape) for name in listed if name not in MODELS)


def resolve_shape(name: str) -> Shape:
    found = resolve_model(f"shape:{name}")
    assert isinstance(found, Shape)
    return found


def never(*_: object) -> None:
    raise AssertionError("too early")
