"""Choosing by what the question attends to: against attention of the stock model, and what the looking costs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from runners.base import Request
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.rotary import rotate
from runners.engine.measure.flops import head_flops
from runners.engine.method import PlanContext
from runners.engine.plan import Plan
from runners.engine.prefill import prefill
from runners.methods.conduit import Conduit
from runners.methods.full_reuse import FullReuse
from runners.methods.parts import attention_mass as attention_mass_module
from runners.methods.parts.attention_mass import attention_mass, question_attention
from runners.methods.parts.image_coefficient import image_coefficients
from runners.methods.prophetkv import ProphetKV


class Watched(Conduit):
    """Scores every medium, even where an exact prefix would do, and keeps what it saw."""

    uses_prefix: ClassVar[bool] = False
    seen: ClassVar[list[tuple[PlanContext, Tensor]]] = []

    def scores(self, context: PlanContext) -> Tensor:
        made = super().scores(context)
        self.seen.append((context, made))
        return made


@pytest.fixture
def watched() -> type[Watched]:
    Watched.seen.clear()
    return Watched


def same_context(lab: Any) -> tuple[Request, Request]:
    """Two requests that differ in their question alone: what is stored by the first is exact in the second."""
    a, b = lab.picture(0), lab.picture(1, rows=6)
    return lab.ask("Look ", a, " and ", b, "first?"), lab.ask("Look ", a, " and ", b, "quite another question?")


def expected_attention(lab: Any, request: Request) -> Tensor:
    """Mean attention of the text after the last medium, ``(layers, media tokens)``, from the stock forward."""
    media = lab.stock_inputs(request)["mm_token_type_ids"][0].nonzero()[:, 0]
    asked = int(media[-1]) + 1
    return torch.stack([layer[:, asked:].mean(dim=(0, 1))[media] for layer in lab.stock_attention(request)])


@hypothesis_settings(max_examples=25)
@given(
    tokens=st.integers(1, 60),
    groups=st.sampled_from([1, 3]),
    kv_heads=st.integers(1, 2),
    held=st.sampled_from([1, 500, 1 << 24]),
    seed=st.integers(0, 1000),
)
def test_attention_mass_is_the_mean_of_a_plain_softmax_however_it_is_cut(
    tokens: int, groups: int, kv_heads: int, held: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(groups * kv_heads, tokens, 8, generator=generator)
    k = torch.randn(kv_heads, tokens, 8, generator=generator)
    at = torch.cat((torch.rand(tokens - 1, generator=generator) < 0.5, torch.tensor([True]))).nonzero()[:, 0]
    scores = q @ k.repeat_interleave(groups, 0).transpose(1, 2) / 8**0.5
    scores = scores.masked_fill(torch.ones(tokens, tokens).triu(1).bool(), -torch.inf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention_mass_module, "MOST_AT_ONCE", held)
        mass = attention_mass(q[None, :, at], k[None], at)[0]
    torch.testing.assert_close(mass, scores.softmax(-1)[:, at].mean(dim=(0, 1)), atol=1e-6, rtol=1e-5)
    assert float(mass.sum()) == pytest.approx(1, abs=1e-5)


def test_a_key_that_queries_point_at_receives_their_attention() -> None:
    q = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(2, 3, 4)
    k = torch.zeros(1, 9, 4)
    k[0, 4, 0] = 40
    mass = attention_mass(q[None], k[None], torch.tensor([6, 7, 8]))[0]
    assert mass.argmax() == 4
    assert mass[4] > 0.99


@pytest.mark.parametrize("value_norm", [True, False])
@pytest.mark.parametrize("image_coefficient", [True, False])
def test_in_an_unchanged_context_scores_are_those_of_the_stock_models_attention(
    lab: Any, watched: type[Watched], value_norm: bool, image_coefficient: bool
) -> None:
    donor, target = same_context(lab)
    method = watched(ratio=0.3, donor="previous", value_norm=value_norm, image_coefficient=image_coefficient)
    lab.answer(method, donor, target)
    ((context, scores),) = watched.seen
    expected = expected_attention(lab, target)
    if value_norm:
        expected *= torch.stack([values[context.candidates()].norm(dim=-1) for values in lab.stock_values(target)])
    mean = expected.mean(dim=0)
    if image_coefficient:
        first, second = mean[:20].mean(), mean[20:].mean()
        mean = torch.cat((mean[:20] * first, mean[20:] * second)) / ((first + second) / 2)
    torch.testing.assert_close(scores, mean, atol=1e-6, rtol=1e-3)


def test_it_recomputes_the_token_whose_key_was_planted_where_the_question_looks(
    lab: Any, watched: type[Watched], observe: Any
) -> None:
    donor, target = same_context(lab)
    lab.answer(watched(ratio=0.02), donor, target)
    ((context, scores),) = watched.seen
    planted = int(context.candidates()[scores.argmin()])

    class Planted(Watched):
        def scores(self, context: PlanContext) -> Tensor:
            question = slice(context.layout.segments[-1].end, context.layout.tokens)
            normed, _, _ = lab.adapter.layers[0].project_kv(context.prompt.hidden[question])
            q = rotate(
                lab.adapter.layers[0].project_q(normed), context.prompt.cos[question], context.prompt.sin[question]
            )
            towards = q.mean(dim=1).view(lab.adapter.shape.kv_heads, -1, lab.adapter.shape.head_dim).mean(dim=1)
            context.kv.k[:, :, planted] = 50 * towards
            return super().scores(context)

    seen = observe(Planted())
    lab.answer(Planted(ratio=0.02), donor, target)
    last, plan, _ = seen.last
    assert last.candidates()[plan.depth[last.candidates()] > 0].tolist() == [planted]


def stub_context(*sizes: int) -> Any:
    return SimpleNamespace(reusable=[SimpleNamespace(tokens=size) for size in sizes])


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 1000), factor=st.floats(0.01, 100)
)
def test_coefficients_average_to_one_over_images_and_follow_their_mean_score(
    sizes: list[int], seed: int, factor: float
) -> None:
    scores = torch.rand(sum(sizes), generator=torch.Generator().manual_seed(seed)) + 0.01
    coefficients = image_coefficients(stub_context(*sizes), scores)
    images = [part[0] for part in coefficients.split(sizes)]
    assert all((part == part[0]).all() for part in coefficients.split(sizes))
    assert float(torch.stack(images).mean()) == pytest.approx(1, rel=1e-4)
    means = torch.stack([part.mean() for part in scores.split(sizes)])
    assert torch.stack(images).argmax() == means.argmax()
    torch.testing.assert_close(image_coefficients(stub_context(*sizes), factor * scores), coefficients)


def test_no_attention_at_all_gives_no_coefficient_that_is_not_a_number() -> None:
    assert image_coefficients(stub_context(2, 3), torch.zeros(5)).tolist() == [0.0] * 5


def moved(lab: Any) -> list[Request]:
    a, b = lab.picture(0), lab.picture(1, rows=6)
    return [lab.ask("x ", a), lab.ask(b, "y"), lab.ask("now: ", b, " and ", a, "which of them is it?")]


def test_prophetkv_is_conduit_without_its_factors(lab: Any, observe: Any) -> None:
    plain = Conduit(ratio=0.2, value_norm=False, image_coefficient=False)
    answers, plans = [], []
    for method in (plain, ProphetKV(ratio=0.2)):
        seen = observe(method)
        answers.append(lab.answer(method, *moved(lab)))
        plans.append(seen.last[1])
    assert torch.equal(plans[0].depth, plans[1].depth)
    lab.assert_equal(answers[0], answers[1], tolerance=0)
    assert answers[0].cache == answers[1].cache


def test_conduits_factors_change_what_is_chosen(lab: Any, observe: Any) -> None:
    depths = []
    for method in (Conduit(ratio=0.2), ProphetKV(ratio=0.2)):
        seen = observe(method)
        lab.answer(method, *moved(lab))
        depths.append(seen.last[1].depth)
    assert depths[0].sum() == depths[1].sum()
    assert not torch.equal(depths[0], depths[1])


def counted_by_hand(lab: Any, context: PlanContext) -> float:
    """The scoring pass, token by token and layer by layer."""
    shape = lab.adapter.shape
    width, kv_width = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    question = context.layout.segments[-1].end
    total = 0.0
    for layer in range(shape.layers):
        for token in context.required.nonzero()[:, 0].tolist():
            total += 2 * 2 * shape.hidden * kv_width  # keys and values
            if layer < shape.layers - 1 or token >= question:
                total += 2 * 2 * shape.hidden * width + 3 * 2 * shape.hidden * shape.intermediate
                total += 2 * 2 * width * (token + 1)  # attention
            if token >= question:
                total += 2 * width * (token + 1)  # the probabilities once more, to be seen
    return total


@pytest.mark.parametrize("name", ["conduit", "prophetkv"])
def test_the_scoring_pass_is_charged_in_full_and_whatever_the_ratio(lab: Any, observe: Any, name: str) -> None:
    charged = []
    for ratio in (0.0, 0.05, 0.3, 0.9, 1.0):
        method = lab.method(name, recompute_ratio=ratio)
        seen = observe(method)
        lab.answer(method, *moved(lab))
        charged.append(seen.contexts[-1].selection_flops)
    assert charged[0] == charged[-1] == 0, "nothing to choose"
    assert charged[1:-1] == pytest.approx([counted_by_hand(lab, seen.contexts[-1])] * 3, rel=1e-12)


@pytest.mark.parametrize("name", ["conduit", "prophetkv"])
def test_text_before_the_question_is_computed_once_over_media_that_are_still_stale(
    lab: Any, observe: Any, name: str
) -> None:
    """The question and the chosen tokens are computed behind what blind reuse computes of the text before."""
    method = lab.method(name, recompute_ratio=0.2)
    seen = observe(method)
    response = lab.answer(method, *moved(lab))
    context, plan, computed = seen.last
    question = context.layout.segments[-1].end
    chosen = context.candidates()[plan.depth[context.candidates()] > 0].tolist()
    again = [*chosen, *range(question, context.layout.tokens)]
    assert {layer: tokens.tolist() for layer, tokens in computed.items()} == dict.fromkeys(range(context.layers), again)

    blind = FullReuse(donor=method.donor)
    text_alone = observe(blind)
    lab.answer(blind, *moved(lab))
    reused = text_alone.contexts[-1].kv
    before = [token for token in context.required.nonzero()[:, 0].tolist() if token < question]
    stays = KVBuffer(reused.k.clone(), reused.v.clone())
    depth = torch.zeros_like(context.required)
    depth[again] = context.layers
    with torch.inference_mode():
        expected = prefill(lab.adapter, text_alone.contexts[-1].prompt, stays, Plan(depth))
        logits = lab.adapter.head(expected.hidden)[0].float().numpy()
    assert len(before) > 3
    lab.assert_equal(response, logits)
    spent = expected.flops + counted_by_hand(lab, context) + head_flops(lab.adapter.shape)
    assert response.cache.flops == pytest.approx(spent, rel=1e-12)


@pytest.mark.parametrize("donor", ["previous", "template"])
@pytest.mark.parametrize("name", ["conduit", "prophetkv"])
def test_a_new_medium_is_computed_again_only_where_that_is_stored(
    lab: Any, observe: Any, name: str, donor: str
) -> None:
    a, new = lab.picture(0), lab.picture(7, rows=3)
    method = lab.method(name, recompute_ratio=0.2, donor=donor)
    seen = observe(method)
    engine = lab.engine(method)
    for request in (lab.ask("x ", a), lab.ask("both ", new, " and ", a, "?")):
        response = engine.answer(request)
    context, plan, computed = seen.last
    fresh, reused = (torch.arange(segment.start, segment.end) for segment in context.layout.segments)
    assert torch.isin(fresh, computed[0]).tolist() == [donor == "previous"] * len(fresh)
    assert plan.depth[fresh].tolist() == [context.layers] * len(fresh), "computed all the same"
    assert response.cache.computed_token_layers == int(plan.depth[fresh].sum() + plan.depth[reused].sum())
    assert lab.stored(engine, new).donor is not None


@pytest.mark.parametrize("name", ["conduit", "prophetkv"])
def test_what_was_computed_over_stale_media_is_stored_as_no_exact_prefix(lab: Any, observe: Any, name: str) -> None:
    """Even where the media before it are computed in full afterwards: a later request must not take it for exact."""
    first, second = lab.picture(0, rows=1, cols=2), lab.picture(1, rows=6)
    method_class: Any = type(lab.method(name))

    class FirstMedium(method_class):  # type: ignore[misc]
        def scores(self, context: PlanContext) -> Tensor:
            super().scores(context)
            return -context.candidates().float()

    method = FirstMedium(ratio=0.2)
    seen = observe(method)
    shown = lab.ask("x ", first, "between them ", second, "what is it?")
    engine = lab.engine(method)
    for request in (lab.ask("elsewhere ", first), lab.ask(second, "y"), shown):
        engine.answer(request)
    context, plan, _ = seen.last
    span = slice(context.layout.segments[0].start, context.layout.segments[0].end)
    assert bool((plan.depth[: span.stop] == context.layers)[span].all()), "the first medium is computed in full"
    assert engine.answer(shown).cache.prefix_tokens == span.stop


def test_the_question_is_asked_over_a_new_medium_too(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def recorded(context: PlanContext) -> Tensor:
        masses = question_attention(context)
        shapes.append((masses.shape, bool(masses.isfinite().all()), len(context.candidates())))
        return masses

    monkeypatch.setattr("runners.methods.conduit.question_attention", recorded)
    a, new = lab.picture(0), lab.picture(7, rows=3)
    lab.answer(Conduit(ratio=0.3), lab.ask("x ", a), lab.ask("both ", new, a, new, "?"))
    assert shapes == [((lab.adapter.shape.layers, 20), True, 20)]
