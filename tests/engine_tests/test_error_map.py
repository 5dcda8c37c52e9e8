"""The error map says how far what a method used is from full recomputation: laws, and two independent measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from runners.analysis import stream
from runners.analysis.measure import observe_stream
from runners.analysis.records import Observation
from runners.engine.method import Method, PlanContext
from runners.engine.plan import Plan
from runners.methods.full_recompute import FullRecompute
from runners.methods.full_reuse import FullReuse
from runners.registry import RunnerSpec
from workloads.records import Answer, Conversation, Turn

ROUNDING = 1e-4


class WithoutPrefix(FullReuse):
    """Reuses media even where an exact prefix would do."""

    uses_prefix: ClassVar[bool] = False


def observe_last(lab: Any, patch: pytest.MonkeyPatch, method: Method, *contents: Any) -> Observation:
    """What is seen of the last of these requests, which must be warm."""
    patch.setattr(stream, "load_method", lambda spec: method)
    runner = stream.ObservedRunner(RunnerSpec("any", "observed"), lab.model)
    turns = [
        Turn(f"{number}", content, Answer(("A",), "exact-match"), "any") for number, content in enumerate(contents)
    ]
    requests = [Conversation(turn.id, "cluster", "Be brief.", (turn,)) for turn in turns]
    (*_, (_, seen)) = observe_stream("made-up", requests, runner, 0.25)
    assert seen is not None
    return seen


def test_full_recomputation_has_no_errors(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = lab.picture(0), lab.picture(1)
    seen = observe_last(lab, monkeypatch, FullRecompute(), ("x ", a, b, "?"), ("moved ", b, a, "?"))
    assert seen.errors.relative_k.max() < ROUNDING
    assert seen.errors.relative_v.max() < ROUNDING
    assert seen.errors.delta_k.shape == (5, 40)
    assert seen.errors.computed.all()
    np.testing.assert_allclose(seen.errors.cosine, 1, atol=1e-5)
    assert seen.kl < 1e-9
    assert seen.staleness is None


def test_reuse_in_the_donors_own_context_has_no_errors(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, clip = lab.picture(0), lab.clip(1)
    seen = observe_last(lab, monkeypatch, WithoutPrefix(), ("x ", a, clip, "?"), ("x ", a, clip, "another?"))
    assert seen.errors.relative_k.max() < ROUNDING
    assert seen.errors.relative_v.max() < ROUNDING
    assert not seen.errors.computed.any()
    np.testing.assert_allclose(seen.errors.cosine, 1, atol=1e-5)
    assert seen.kl < 1e-9
    assert seen.staleness is not None
    assert seen.staleness.kl.max() < 1e-9


def test_the_first_medium_after_the_same_text_is_exact_and_later_ones_inherit_errors(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = lab.picture(0), lab.picture(1)
    seen = observe_last(lab, monkeypatch, WithoutPrefix(), ("look ", a, "?"), ("other ", b, "?"), ("look ", a, b, "?"))
    first, second = seen.medium == 0, seen.medium == 1
    assert seen.errors.relative_v[:, first].max() < ROUNDING
    assert seen.errors.relative_k[:, first].max() < ROUNDING
    assert seen.errors.relative_v[0, second].max() < ROUNDING, "layer 0 depends on nothing but content and position"
    assert seen.errors.relative_k[0, second].max() < ROUNDING, "a move is no error"
    assert seen.errors.relative_v[1:, second].min(axis=1).max() > 10 * ROUNDING
    assert (seen.errors.cosine[1:, second] < 0.9999).any()
    assert seen.kl > 1e-6


def test_an_exact_prefix_has_no_errors_and_no_states(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = lab.picture(0), lab.picture(1)
    seen = observe_last(lab, monkeypatch, FullReuse(), ("look ", a, "?"), ("other ", b, "?"), ("look ", a, b, "?"))
    first = seen.medium == 0
    assert seen.errors.relative_v[:, first].max() < ROUNDING
    assert not seen.errors.computed[:, first].any()
    assert np.isnan(seen.errors.cosine[:, first]).all()
    assert np.isfinite(seen.errors.cosine[:, ~first]).all()
    assert seen.staleness is not None
    assert seen.staleness.deviation.shape == (5, 20), "what the prefix covers is not to be decided about"


def test_states_of_compiled_donors_are_unknown(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a = lab.picture(0)
    seen = observe_last(lab, monkeypatch, FullReuse(donor="isolated"), ("look ", a, "?"), ("see ", a, "?"))
    assert np.isnan(seen.errors.cosine).all()
    assert seen.errors.relative_v[1:].max() > ROUNDING


@dataclass(frozen=True)
class Leading(WithoutPrefix):
    """Recomputes the first 8 tokens, the first 4 of them in 2 layers only."""

    def plan(self, context: PlanContext) -> Plan:
        depth = context.compute(context.candidates()[:8])
        depth[context.candidates()[:4]] = 2
        return Plan(depth)


def test_what_was_computed_is_told_by_layer(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = lab.picture(0), lab.picture(1)
    seen = observe_last(lab, monkeypatch, Leading(), ("x ", b, a, "?"), ("moved further ", a, "?"))
    expected = np.zeros((5, 20), dtype=bool)
    expected[:, :8], expected[2:, :4] = True, False
    np.testing.assert_array_equal(seen.errors.computed, expected)
    assert seen.errors.relative_v[:, 4:8].min() < ROUNDING
    assert seen.errors.relative_v[:2, :8].max() < ROUNDING, "the leading run after exact text is exact"
    assert seen.errors.relative_v[2:, :4].min() > ROUNDING


def test_errors_are_the_differences_of_two_engines_buffers(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = lab.picture(0), lab.picture(1, rows=6)
    contents = (("x ", a, "?"), ("other ", b, "?"), ("now: ", b, " and ", a, "?"))
    seen = observe_last(lab, monkeypatch, FullReuse(), *contents)
    buffers, held = {}, {}
    for kind in (FullRecompute, FullReuse):

        @dataclass(frozen=True)
        class Watched(kind):  # type: ignore[valid-type, misc]
            def plan(self, context: PlanContext, kind: Any = kind) -> Plan:
                buffers[kind] = context
                plan: Plan = super().plan(context)
                return plan

        lab.answer(Watched(), *(lab.ask(*content, max_new_tokens=1) for content in contents))
        held[kind] = {"k": buffers[kind].kv.k.clone(), "v": buffers[kind].kv.v.clone()}
    spans = [torch.arange(part.start, part.end) for part in buffers[FullReuse].layout.segments]
    at = torch.cat(spans)
    for name in ("k", "v"):
        mine, true = (held[kind][name][:, :, at] for kind in (FullReuse, FullRecompute))
        delta, size = (values.transpose(1, 2).flatten(2).norm(dim=-1) for values in (mine - true, true))
        np.testing.assert_allclose(getattr(seen.errors, f"delta_{name}"), delta, atol=1e-4)
        np.testing.assert_allclose(getattr(seen.errors, f"relative_{name}"), delta / size, atol=1e-4)
    assert delta.max() > 0.05


def test_cosines_are_those_of_two_stock_forwards(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = lab.picture(0), lab.picture(1, rows=6)
    donor, target = ("x ", a, "?"), ("now: ", b, " and ", a, "?")
    seen = observe_last(lab, monkeypatch, FullReuse(), donor, ("other ", b, "?"), target)
    states = []
    for content in (donor, target):
        inputs = lab.stock_inputs(lab.ask(*content))
        with torch.no_grad():
            hidden = lab.stock(**inputs, output_hidden_states=True).hidden_states
        rows = inputs["mm_token_type_ids"][0].nonzero()[-20:, 0]
        states.append(torch.stack(hidden[:5])[:, 0, rows])
    expected = torch.nn.functional.cosine_similarity(states[0], states[1], dim=-1)
    np.testing.assert_allclose(seen.errors.cosine[:, seen.medium == 1], expected, atol=1e-4)
    assert expected.min() < 0.999
