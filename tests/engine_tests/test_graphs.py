"""Recorded work gives what eager work gives, whatever it is replayed for: on a CPU, with traces for CUDA graphs.

A trace by ``make_fx`` on real tensors has baked in what a CUDA graph has: every size, and every number that the host
looked at. It is replayed for other tokens, prompts and lengths than it was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves

from runners.engine.attention.flash import Flash
from runners.engine.attention.flex import Flex
from runners.engine.attention.sdpa import Sdpa
from runners.engine.attention.triton_attention import TritonAttention
from runners.engine.attention.view import LookBack
from runners.engine.decode import Continuation, decode, retrace
from runners.engine.forward.capture import Capture
from runners.engine.forward.margin import logit_margin
from runners.engine.graphs.arena import LARGEST, Arena
from runners.engine.graphs.graphs import Graphs
from runners.engine.graphs.policy import graphs_of, obstacle
from runners.engine.graphs.recorder import Replay, Work
from runners.engine.kv.buffer import KVBuffer
from runners.engine.kv.workspace import Workspace
from runners.engine.plan import FreshLayer, Plan
from runners.engine.prefill import PrefillResult, prefill
from runners.engine.prompt.tensors import PromptTensors

FAMILIES = ("qwen2_5_vl", "qwen3_vl", "llava")  # biases and M-RoPE; norms of Q and K, and deepstack; neither
HOST_LOOKS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "aten.item", "is_nonzero")
assert_near = partial(torch.testing.assert_close, atol=3e-5, rtol=1e-5)


class Tracer:
    """A ``Recorder`` that traces; nothing that the host would have to wait for may be in a trace.

    Attributes:
        made, replayed: how many recordings and replays there were.
    """

    def __init__(self) -> None:
        self.made = self.replayed = 0
        self.nbytes = 0

    def record(self, work: Work, tensors: tuple[Any, ...]) -> Replay:
        leaves = [leaf for leaf in tree_leaves(tensors) if isinstance(leaf, Tensor)]
        before = [leaf.clone() for leaf in leaves]
        traced = make_fx(work)(*tensors)
        for leaf, held in zip(leaves, before, strict=True):  # a CUDA graph computes nothing when it is captured
            leaf.copy_(held)
        called = {str(node.target) for node in traced.graph.nodes if node.op == "call_function"}
        assert called
        assert not [name for name in called if any(look in name for look in HOST_LOOKS)]
        self.made += 1

        def replay() -> None:
            self.replayed += 1
            traced(*tensors)

        return replay


def traced_workspace(adapter: Any) -> tuple[Workspace, Tracer]:
    tracer = Tracer()
    return Workspace(adapter.kv_shape, Graphs(lambda: tracer, Arena(adapter))), tracer


@pytest.fixture(scope="module")
def traced(lab_of: Callable[[str], Any]) -> Callable[[str], tuple[Any, Workspace, Tracer]]:
    """A family's laboratory, and a workspace whose recordings all tests share."""

    @cache
    def make(family: str) -> tuple[Any, Workspace, Tracer]:
        lab = lab_of(family)
        return lab, *traced_workspace(lab.adapter)

    return make


def random_prompt(adapter: Any, tokens: int, room: int, seed: int) -> PromptTensors:
    shape, generator = adapter.shape, torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, shape.hidden, generator=generator)
    positions = torch.arange(tokens + room).expand(shape.rope_axes, -1) + seed % 5
    deepstack = torch.randn(shape.deepstack, tokens, shape.hidden, generator=generator) if shape.deepstack else None
    cos, sin = adapter.rotary(positions)
    return PromptTensors(hidden, cos, sin, deepstack)


def fill(kv: KVBuffer, tokens: int, seed: int) -> None:
    """Something is held of the prompt; no number is anywhere else."""
    generator = torch.Generator().manual_seed(seed)
    for x in (kv.k, kv.v):
        x.fill_(torch.nan)
        x[:, :, :tokens] = torch.randn(*x.shape[:2], tokens, x.shape[3], generator=generator)


@torch.inference_mode()
@pytest.mark.parametrize("given", [1, 2, 4])
def test_what_was_given_is_gone_on_from_as_if_it_had_just_been_decoded(lab: Any, given: int) -> None:
    tokens, limit = 6, 5
    prompt, plan = random_prompt(lab.adapter, tokens, limit, 0), Plan(torch.full((tokens,), lab.adapter.shape.layers))
    memory = [KVBuffer.allocate(lab.adapter.kv_shape, tokens + limit) for _ in range(2)]
    for kv in memory:
        prefill(lab.adapter, prompt, kv, plan)
    whole = decode(lab.adapter, prompt, memory[0], [1], limit, least_margin=0.0)
    rest = decode(lab.adapter, prompt, memory[1], whole.tokens[:given], limit, least_margin=0.0)
    assert rest.tokens == whole.tokens
    assert rest.margins == whole.margins[given - 1 :]
    assert torch.equal(memory[0].k[:, :, : tokens + limit - 1], memory[1].k[:, :, : tokens + limit - 1])
    doubt = decode(lab.adapter, prompt, memory[1], [1], limit, least_margin=max(whole.margins) + 1)
    assert doubt.in_doubt
    assert doubt.tokens == (1,)


@torch.inference_mode()
@pytest.mark.parametrize("wrong", [None, 0, 2, 4])
def test_an_answer_is_retraced_up_to_its_first_wrong_token(lab: Any, wrong: int | None) -> None:
    tokens, limit = 6, 5
    prompt, plan = random_prompt(lab.adapter, tokens, limit, 0), Plan(torch.full((tokens,), lab.adapter.shape.layers))
    kv, again = (KVBuffer.allocate(lab.adapter.kv_shape, tokens + limit) for _ in range(2))
    logits = [lab.adapter.head(prefill(lab.adapter, prompt, memory, plan).hidden)[0] for memory in (kv, again)]
    whole = decode(lab.adapter, prompt, kv, [int(logits[0].argmax())], limit, least_margin=0.0)
    answer = list(whole.tokens)
    if wrong is not None:
        answer[wrong] = (answer[wrong] + 1) % lab.adapter.shape.vocabulary
    found = retrace(lab.adapter, prompt, again, logits[1], answer)
    assert found.same == (limit if wrong is None else wrong)
    margins = [float(logit_margin(logits[0])), *whole.margins]
    assert found.margins == pytest.approx(margins[: found.same + 1], abs=1e-4)


def both_ways(adapter: Any, workspace: Workspace, plan: Plan, seed: int) -> None:
    """Prefill and decode on recorded and on other memory, and compare all that is left."""
    tokens, limit = len(plan.depth), 4
    prompt = random_prompt(adapter, tokens, limit, seed)
    results: list[tuple[KVBuffer, PrefillResult, Continuation]] = []
    for kv in (workspace.kv(tokens + limit), KVBuffer.allocate(adapter.kv_shape, tokens + limit)):
        fill(kv, tokens, seed + 1)
        result = prefill(adapter, prompt, kv, plan)
        results.append((kv, result, decode(adapter, prompt, kv, [1], limit, least_margin=0.0)))
    (kv, result, generated), (plain_kv, plain, expected) = results
    assert_near(result.hidden, plain.hidden)
    assert torch.equal(result.depth, plain.depth)
    assert result.flops == plain.flops
    assert generated.tokens == expected.tokens
    assert generated.margins == pytest.approx(expected.margins, abs=1e-4)
    written = tokens + len(generated.tokens) - 1
    for mine, other in ((kv.k, plain_kv.k), (kv.v, plain_kv.v)):
        assert_near(mine[:, :, :written], other[:, :, :written])
        beyond = mine[:, :, written : tokens + limit]
        assert bool(beyond.isnan().all()), "padding writes nowhere in the room that was asked for"


@torch.inference_mode()
def recorded_then_replayed(adapter: Any, workspace: Workspace, tracer: Tracer, first: Plan, second: Plan) -> None:
    """The second plan is served by what was recorded for the first, and is of the same sizes."""
    assert workspace.graphs is not None
    both_ways(adapter, workspace, first, seed=3)
    workspace.graphs.record_pending()
    made, replayed = tracer.made, tracer.replayed
    both_ways(adapter, workspace, second, seed=17)
    assert workspace.graphs.record_pending() == 0
    assert (tracer.made, tracer.replayed > replayed) == (made, True)


def spread(depths: Sequence[int], tokens: int, seed: int, layers: int) -> Tensor:
    """Tokens of these depths somewhere in a prompt, the last one among them; the others are not computed."""
    generator = torch.Generator().manual_seed(seed)
    depth = torch.zeros(tokens, dtype=torch.int64)
    places = torch.randperm(tokens - 1, generator=generator)[: len(depths) - 1]
    depth[torch.cat((places.sort().values, torch.tensor([tokens - 1])))] = torch.tensor(depths).clamp(max=layers)
    return depth


@pytest.mark.parametrize("family", FAMILIES)
@hypothesis_settings(max_examples=5)
@given(
    depths=st.lists(st.sampled_from([1, 2, 5, 5]), min_size=1, max_size=30),
    seeds=st.tuples(st.integers(0, 99), st.integers(100, 199)),
    tokens=st.tuples(st.integers(44, 51), st.integers(44, 51)),
)
def test_a_replay_computes_other_tokens_of_another_prompt(
    traced: Any, family: str, depths: list[int], seeds: tuple[int, int], tokens: tuple[int, int]
) -> None:
    lab, workspace, tracer = traced(family)
    layers = lab.adapter.shape.layers
    first, second = (Plan(spread(depths, *which, layers)) for which in zip(tokens, seeds, strict=True))
    recorded_then_replayed(lab.adapter, workspace, tracer, first, second)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_replay_computes_another_number_of_tokens_of_the_same_bucket(traced: Any, family: str) -> None:
    lab, workspace, tracer = traced(family)
    layers = lab.adapter.shape.layers
    first = Plan(spread([2] * 20 + [layers] * 24, 90, 0, layers))
    second = Plan(spread([2] * 19 + [layers] * 22, 81, 1, layers))
    recorded_then_replayed(lab.adapter, workspace, tracer, first, second)


def test_what_was_recorded_for_one_room_is_not_replayed_in_another(lab: Any) -> None:
    workspace, tracer = traced_workspace(lab.adapter)
    workspace.kv(200)
    assert workspace.graphs is not None
    layers, made = lab.adapter.shape.layers, []
    with torch.inference_mode():
        for tokens in (44, 90, 44, 90):
            both_ways(lab.adapter, workspace, Plan(spread([layers] * 9, tokens, 0, layers)), seed=tokens)
            workspace.graphs.record_pending()
            made.append(tracer.made)
    assert made == [2, 4, 4, 4], "the layers and a decoding step, once for each room"


def looking(depth: Tensor, layer: int, seed: int) -> tuple[Plan, list[int]]:
    """Half of the tokens drop out of a layer, whichever they are, the last one excepted; and where it was looked."""
    seen: list[int] = []

    def refine(fresh: FreshLayer) -> Tensor:
        seen.append(fresh.layer)
        fresh.v.mul_(1.5)
        others = torch.randperm(len(fresh.tokens) - 1, generator=torch.Generator().manual_seed(seed))
        kept = torch.ones(len(fresh.tokens), dtype=torch.bool)
        kept[others[::2]] = False
        return kept

    return Plan(depth, refine, frozenset({layer})), seen


@pytest.mark.parametrize("layer", [0, 2, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_layers_that_somebody_looks_at_lie_between_recordings(traced: Any, family: str, layer: int) -> None:
    lab, workspace, tracer = traced(family)
    layers = lab.adapter.shape.layers
    (first, seen), (second, _) = (looking(spread([layers] * 15, 44, seed, layers), layer, seed) for seed in (5, 6))
    recorded_then_replayed(lab.adapter, workspace, tracer, first, second)
    assert seen == [layer, layer], "once on either memory"


def test_a_plan_looks_where_it_says() -> None:
    depth = torch.tensor([1])
    fresh: Any = SimpleNamespace(layer=1)
    assert [Plan(depth).looks(layer) for layer in (0, 1)] == [False, False]
    assert Plan(depth).look(fresh) is None
    kept = torch.tensor([True])
    assert [Plan(depth, lambda fresh: kept).looks(layer) for layer in (0, 1)] == [True, True]
    assert Plan(depth, lambda fresh: kept, frozenset({1})).look(fresh) is kept
    assert Plan(depth, lambda fresh: kept, frozenset({0})).look(fresh) is None


def test_only_few_tokens_that_nobody_captures_are_recorded(lab: Any) -> None:
    adapter, layers = lab.adapter, lab.adapter.shape.layers
    workspace, _ = traced_workspace(adapter)
    few, everything = Plan(spread([layers] * 9, 30, 0, layers)), Plan(torch.full((30,), layers))
    many = Plan(torch.cat((torch.zeros(1, dtype=torch.int64), torch.full((LARGEST + 1,), layers))))
    assert workspace.graphs is not None
    with torch.inference_mode():
        for plan, options, recorded in (
            (everything, {}, 0),
            (many, {"to_head": False}, 0),
            (few, {"capture": Capture(())}, 0),
            (few, {"skips": False}, 0),
            (few, {}, 1),
        ):
            tokens = len(plan.depth)
            kv = workspace.kv(tokens)
            fill(kv, tokens, 1)
            prefill(adapter, random_prompt(adapter, tokens, 0, 0), kv, plan, **options)
            assert workspace.graphs.record_pending() == recorded


def have_coming(kv: KVBuffer, held_k: Tensor, held_v: Tensor, tokens: int) -> list[int]:
    """Let what is held come layer by layer; which came when the layer before was computed."""
    arrived: list[int] = []

    def arrive(layer: int) -> None:
        k, v = kv.unsettled
        if layer == 0 or not bool(k[layer - 1, :, tokens - 1].isnan().any()):
            arrived.append(layer)
        k[layer, :, : tokens - 1], v[layer, :, : tokens - 1] = held_k[layer, :, :-1], held_v[layer, :, :-1]

    kv.expect(arrive)
    return arrived


def test_layers_whose_keys_are_still_on_their_way_are_launched_one_by_one_as_they_come(lab: Any) -> None:
    adapter, layers, tokens = lab.adapter, lab.adapter.shape.layers, 30
    workspace, tracer = traced_workspace(adapter)
    assert workspace.graphs is not None
    for seed, recorded in ((0, layers), (7, 0)):
        plan = Plan(spread([layers] * 9, tokens, seed, layers))
        prompt = random_prompt(adapter, tokens, 0, seed)
        plain, kv = KVBuffer.allocate(adapter.kv_shape, tokens), workspace.kv(tokens)
        fill(plain, tokens, seed)
        fill(kv, 0, 0)
        arrived = have_coming(kv, plain.k.clone(), plain.v.clone(), tokens)
        with torch.inference_mode():
            results = [prefill(adapter, prompt, memory, plan) for memory in (kv, plain)]
            assert workspace.graphs.record_pending() == recorded
        assert arrived == list(range(layers))
        assert_near(results[0].hidden, results[1].hidden)
    assert tracer.replayed == layers


def requests(lab: Any) -> list[Any]:
    a, b, c = (lab.picture(seed, rows=3 + seed) for seed in range(3))
    return [
        lab.ask("x ", a),
        lab.ask(b, "y", a),
        lab.ask("z ", c, b, a, max_new_tokens=6),
        lab.ask("z ", c, b, "w", a, a),
        lab.ask("z ", c, b, "w", a, "?"),
    ]


@pytest.mark.every_method
@pytest.mark.parametrize("family", FAMILIES[:2])
def test_every_method_answers_as_without_recordings(
    traced: Any, family: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, workspace, tracer = traced(family)
    method = lab.method(name, recompute_ratio=0.3)
    plain = lab.engine(method)
    expected = [plain.answer(request) for request in requests(lab)]
    monkeypatch.setattr(lab, "workspace", workspace)
    engine, before = lab.engine(method), tracer.replayed
    for _ in ("recorded", "replayed"):
        engine.reset()
        for request, answer in zip(requests(lab), expected, strict=True):
            found = engine.answer(request)
            lab.assert_equal(found, answer)
            assert found.token_ids == answer.token_ids
            assert found.cache == answer.cache
    assert tracer.replayed > before
    assert found.timing is not None
    assert found.timing.capture_ms >= 0


def test_nothing_is_recorded_before_the_answer_is_complete(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, tracer = traced_workspace(lab.adapter)
    monkeypatch.setattr(lab, "workspace", workspace)
    engine = lab.engine(lab.method("vlcache", recompute_ratio=0.3))
    made_by: list[tuple[str, int]] = []

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def around(*args: Any, **options: Any) -> Any:
            before = tracer.made
            result = call(*args, **options)
            made_by.append((name, tracer.made - before))
            return result

        return around

    for owner, attribute in ((engine._prefiller, "answer"), (engine, "_keep"), (engine, "_record")):
        monkeypatch.setattr(owner, attribute, watched(attribute, getattr(owner, attribute)))
    monkeypatch.setattr("runners.engine.engine.decode", watched("decode", decode))
    engine.answer(requests(lab)[0])
    assert [name for name, _ in made_by] == ["answer", "decode", "_keep", "_record"]
    assert [name for name, made in made_by if made] == ["_record"]


def test_where_longer_requests_come_nothing_is_replayed_on_memory_given_back(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, tracer = traced_workspace(lab.adapter)
    short, long = lab.ask("short ", lab.picture(0)), lab.ask("long ", *(lab.picture(seed, rows=9) for seed in range(4)))
    method = lab.method("full-reuse")
    expected = lab.answer(method, short, long, short)
    monkeypatch.setattr(lab, "workspace", workspace)
    engine = lab.engine(method)
    engine.answer(short)
    made = tracer.made
    assert made
    engine.answer(long)
    lab.assert_equal(engine.answer(short), expected)
    assert tracer.made > made + 1, "what the first request recorded is recorded anew"


def test_sizes_seen_before_are_replayed(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, tracer = traced_workspace(lab.adapter)
    monkeypatch.setattr(lab, "workspace", workspace)
    engine, made = lab.engine(lab.method("full-reuse")), []
    for _ in ("memory grows", "all is recorded", "nothing is new"):
        engine.reset()
        before = tracer.made
        for request in requests(lab)[:3]:
            engine.answer(request)
        made.append(tracer.made - before)
    assert made[0] > 0
    assert made[2] == 0


class Counting:
    """A recorder of work on numbers."""

    nbytes = 0

    def record(self, work: Work, tensors: tuple[Any, ...]) -> Replay:
        return partial(work, *tensors)


def add(amount: int, to: Tensor) -> None:
    to.add_(amount)


def test_few_recordings_are_held_those_used_last(lab: Any) -> None:
    recorders: list[Counting] = []

    def make() -> Counting:
        recorders.append(Counting())
        return recorders[-1]

    graphs, total = Graphs(make, Arena(lab.adapter), most=2), torch.zeros(1)
    for amount in (1, 2, 1):
        graphs.run(amount, partial(add, amount), total)
    assert (float(total), len(graphs)) == (4, 0)
    assert (graphs.record_pending(), graphs.record_pending(), len(graphs)) == (2, 0, 2)
    graphs.run(1, partial(add, 100), total)  # replayed: what its name stood for first
    graphs.run(3, partial(add, 3), total)
    assert (float(total), graphs.record_pending(), len(graphs)) == (8, 1, 2)
    graphs.run(1, partial(add, 100), total)
    graphs.run(2, partial(add, 100), total)  # dropped: the one that was not used for longest
    assert (float(total), len(recorders)) == (109, 1)
    graphs.clear()
    assert (graphs.record_pending(), len(graphs)) == (0, 0)
    graphs.run(1, partial(add, 1), total)
    assert (graphs.record_pending(), len(recorders)) == (1, 2)


@pytest.mark.parametrize(
    ("device", "attention", "experts", "parts", "reason"),
    [
        ("cpu", Sdpa(), 0, 1, "recording needs a CUDA device"),
        ("cuda", Flash(lambda: None, lambda: None), 0, 1, "attention by 'flash' cannot be recorded"),
        ("cuda", Flex(lambda: None), 0, 1, "attention by 'flex' cannot be recorded"),
        ("cuda", TritonAttention(), 8, 1, "layers with experts launch what their tokens choose"),
        ("cuda", TritonAttention(), 0, 2, "processes that share a model wait for each other in every layer"),
        ("cuda", TritonAttention(), 0, 1, None),
        ("cuda", Sdpa(), 0, 1, None),
    ],
)
def test_what_keeps_a_model_from_being_recorded(
    device: str, attention: Any, experts: int, parts: int, reason: str | None
) -> None:
    shape = SimpleNamespace(experts=experts, parts=parts)
    adapter: Any = SimpleNamespace(device=torch.device(device), attention=attention, shape=shape)
    assert obstacle(adapter) == reason


def test_on_a_cpu_nothing_is_recorded(lab: Any) -> None:
    assert graphs_of(lab.adapter) is None
    assert lab.model.workspace.graphs is None
    answer = lab.answer(lab.method("full-reuse"), *requests(lab))
    assert answer.timing.capture_ms == 0


def test_a_model_tells_whether_it_has_experts(lab_of: Callable[[str], Any]) -> None:
    assert lab_of("qwen3_vl_moe").adapter.shape.experts > 0
    assert lab_of("qwen3_vl").adapter.shape.experts == 0


@hypothesis_settings(max_examples=40)
@given(
    tokens=st.integers(1, 200),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 1000),
    groups=st.integers(1, 4),
)
def test_a_fixed_view_sees_what_the_view_of_its_tokens_sees(attention_case: Any, **options: Any) -> None:
    case = attention_case(**options)
    fixed = LookBack.within(case.view.at, case.k.shape[1])
    assert (fixed.fixed, fixed.reach, case.view.fixed) == (True, case.k.shape[1], False)
    found = Sdpa().attend(case.q, case.k, case.v, fixed)
    torch.testing.assert_close(found, Sdpa().attend(case.q, case.k, case.v, case.view), atol=1e-5, rtol=1e-5)


def test_the_manifest_says_why_nothing_is_recorded_here(lab: Any) -> None:
    assert lab.model.describe()["graphs"] == "recording needs a CUDA device"
