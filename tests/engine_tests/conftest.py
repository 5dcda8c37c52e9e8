"""A laboratory: a tiny random checkpoint in the real format, requests to ask it, and stock Hugging Face answers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from runners.base import Request, Response
from runners.defaults import RunnerDefaults, options_by_setting
from runners.engine.attention.view import LookBack
from runners.engine.engine import Engine
from runners.engine.media.content_key import content_key
from runners.engine.method import Method, PlanContext
from runners.engine.plan import FreshLayer, Plan
from runners.engine.store.entries import MediaEntry
from runners.models.load import LoadedModel, load_model
from runners.records import Status
from runners.registry import METHODS, load_method, parse_specs
from workloads.errors import UsageError
from workloads.records import Media, Message, media_in
from workloads.synthetic.drawing import Grid, Page, encode_clip

BUDGET = 1 << 28
TOLERANCE = 2e-4  # of float32 logits of order 1


class Lab:
    """What the engine's tests need, made once for a family of models: a file in ``families``."""

    def __init__(self, family: Any) -> None:
        from transformers import AutoModelForImageTextToText, AutoTokenizer
        from transformers.models.auto.image_processing_auto import AutoImageProcessor

        self.family, self.path, self._own = family.name, family.path, family.own
        self.model: LoadedModel = load_model("tiny", self.path, "float32", "cpu")
        self.adapter: Any = self.model.adapter
        self.workspace = self.model.workspace
        self.stock: Any = AutoModelForImageTextToText.from_pretrained(self.path).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(self.path)
        self.images: Any = AutoImageProcessor.from_pretrained(self.path)

    @staticmethod
    def method(text: str, **defaults: Any) -> Method:
        """The method of a runner spec; keywords are those of ``RunnerDefaults``."""
        (spec,) = parse_specs([text], RunnerDefaults(**defaults))
        return load_method(spec)

    def stored(self, engine: Engine, medium: Media) -> MediaEntry | None:
        """What an engine's store holds of a medium."""
        return engine._stores.media.get(content_key(medium, self.adapter.processor_fingerprint()))

    def engine(self, method: Method, budget: int = BUDGET, strict: bool = False, host_budget: int = 0) -> Engine:
        return Engine(self.adapter, self.workspace, method, budget, strict=strict, host_budget=host_budget)

    def answer(self, method: Method, *requests: Request) -> Response:
        """The last answer of a fresh engine that was asked these requests in turn."""
        engine = self.engine(method)
        responses = [engine.answer(request) for request in requests]
        assert responses[-1].status is Status.OK, responses[-1].error
        return responses[-1]

    @staticmethod
    def picture(seed: int, rows: int = 4, cols: int = 5) -> Media:
        """A noisy PNG of ``rows * cols`` vision tokens."""
        pixels = np.random.default_rng(seed).integers(0, 256, (rows * 16, cols * 16, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        return Media("image", buffer.getvalue(), f"picture-{seed}.png")

    @property
    def takes_videos(self) -> bool:
        """Whether a prompt may hold a clip."""
        return "video" in self.adapter._holes

    def moving(self, seed: int) -> Media:
        """A clip, or a picture where the family takes no clips."""
        return self.clip(seed) if self.takes_videos else self.picture(seed, rows=6, cols=6)

    @staticmethod
    def clip(seed: int) -> Media:
        """A clip of three moments, 36 vision tokens."""
        rng = np.random.default_rng(seed)
        pages = [Page(Grid(3, 4), {(int(rng.integers(3)), int(rng.integers(4))): "K"}) for _ in range(3)]
        return Media("video", encode_clip(pages), f"clip-{seed}.png")

    @staticmethod
    def ask(*content: str | Media, name: str = "request", max_new_tokens: int = 4) -> Request:
        return Request(name, (Message("system", ("Be brief.",)), Message("user", content)), max_new_tokens)

    def stock_inputs(self, request: Request) -> dict[str, Tensor]:
        """What the stock forward takes for a request without clips."""
        inputs: dict[str, Tensor] = self._own.stock_inputs(self, request)
        return inputs

    @staticmethod
    def processed(processor: Any, request: Request) -> dict[str, Tensor]:
        """What a family's own processor makes of a request without clips."""
        chat = [
            {
                "role": message.role,
                "content": [
                    {"type": "text", "text": part}
                    if isinstance(part, str)
                    else {"type": "image", "image": Image.open(io.BytesIO(part.data)).convert("RGB")}
                    for part in message.content
                ],
            }
            for message in request.messages
        ]
        begun = request.messages[-1].role == "assistant"
        batch = processor.apply_chat_template(
            chat,
            tokenize=True,
            return_dict=True,
            return_tensors="np",
            add_generation_prompt=not begun,
            continue_final_message=begun,
        )
        return dict(batch.convert_to_tensors("pt"))

    def qwen_inputs(self, request: Request) -> dict[str, Tensor]:
        """Template, expand the placeholders, tokenise: what the Qwen-VL processors do with images."""
        media = media_in(request.messages)
        chat = [
            {
                "role": message.role,
                "content": [
                    {"type": "text", "text": part} if isinstance(part, str) else {"type": part.kind}
                    for part in message.content
                ],
            }
            for message in request.messages
        ]
        begun = request.messages[-1].role == "assistant"
        text = self.tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
        )
        pictures = [Image.open(io.BytesIO(item.data)).convert("RGB") for item in media]
        batch = dict(self.images(images=pictures, return_tensors="pt")) if pictures else {}
        for grid in batch.get("image_grid_thw", []):
            text = text.replace("<|image_pad|>", "<|hole|>" * int(grid.prod() // 4), 1)
        ids = self.tokenizer(text.replace("<|hole|>", "<|image_pad|>"), return_tensors="pt").input_ids
        return {"input_ids": ids, "mm_token_type_ids": (ids == self.stock.config.image_token_id).int(), **batch}

    @torch.no_grad()
    def stock_logits(self, request: Request) -> NDArray[np.float32]:
        """First-token logits of the stock forward, ``(vocabulary,)``."""
        logits: NDArray[np.float32] = self.stock(**self.stock_inputs(request)).logits[0, -1].numpy()
        return logits

    @torch.no_grad()
    def stock_attention(self, request: Request) -> list[Tensor]:
        """Attention probabilities of the stock forward, per layer ``(heads, tokens, tokens)``."""
        self.stock.set_attn_implementation("eager")
        try:
            attentions = self.stock(**self.stock_inputs(request), output_attentions=True).attentions
        finally:
            self.stock.set_attn_implementation("sdpa")
        return [attention[0] for attention in attentions]

    @torch.no_grad()
    def stock_values(self, request: Request) -> list[Tensor]:
        """V of the stock forward, per layer ``(tokens, kv_heads * head_dim)``."""
        text = self.stock.model.language_model
        states = self.stock(**self.stock_inputs(request), output_hidden_states=True).hidden_states
        return [
            layer.self_attn.v_proj(layer.input_layernorm(hidden[0]))
            for layer, hidden in zip(text.layers, states, strict=False)
        ]

    @torch.no_grad()
    def stock_tokens(self, request: Request) -> list[int]:
        """Greedy answer of the stock ``generate``."""
        inputs = self.stock_inputs(request)
        out = self.stock.generate(**inputs, max_new_tokens=request.max_new_tokens, do_sample=False)
        tokens: list[int] = out[0, inputs["input_ids"].shape[1] :].tolist()
        return tokens

    @staticmethod
    def assert_equal(first: Response, second: Response | NDArray[np.float32], tolerance: float = TOLERANCE) -> None:
        """First-token logits are equal up to rounding."""
        assert first.first_logits is not None
        expected = second.first_logits if isinstance(second, Response) else second
        assert expected is not None
        np.testing.assert_allclose(first.first_logits, expected, atol=tolerance, rtol=0)


@dataclass
class Observed:
    """What a method saw and decided, and which tokens were computed in each layer."""

    contexts: list[PlanContext] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    computed: list[dict[int, Tensor]] = field(default_factory=list)

    @property
    def last(self) -> tuple[PlanContext, Plan, dict[int, Tensor]]:
        return self.contexts[-1], self.plans[-1], self.computed[-1]


@dataclass(frozen=True)
class AttentionCase:
    """Random arguments of ``Attention.attend``; no key or value beyond what the last query sees is a number."""

    q: Tensor
    k: Tensor
    v: Tensor
    view: LookBack | None

    def to(self, dtype: torch.dtype) -> AttentionCase:
        """The same in other numbers."""
        return replace(self, q=self.q.to(dtype), k=self.k.to(dtype), v=self.v.to(dtype))


@pytest.fixture(scope="session")
def attention_case() -> Callable[..., AttentionCase]:
    """Makes random arguments of ``Attention.attend``.

    ``share`` of the ``tokens`` ask: None for all as a matter of course (no view), 0.0 for one of them. They stand in
    runs if ``clustered``. Keys and values lie head by head, or for an odd ``seed`` token by token.
    """

    def make(
        tokens: int,
        share: float | None,
        seed: int,
        groups: int = 2,
        kv_heads: int = 2,
        head_dim: int = 16,
        clustered: bool = False,
    ) -> AttentionCase:
        generator = torch.Generator().manual_seed(seed)
        chances = torch.rand(-(-tokens // 9), generator=generator).repeat_interleave(9)[:tokens]
        if not clustered:
            chances = torch.rand(tokens, generator=generator)
        index = torch.arange(tokens) if share is None else (chances < share).nonzero()[:, 0]
        if not len(index):
            index = torch.randint(tokens, (1,), generator=generator)
        q = torch.randn(len(index), groups * kv_heads, head_dim, generator=generator).transpose(0, 1)
        reach = int(index[-1]) + 1
        k, v = (torch.full((kv_heads, tokens + 3, head_dim), torch.nan) for _ in range(2))
        for x in (k, v):
            x[:, :reach] = torch.randn(kv_heads, reach, head_dim, generator=generator)
        if seed % 2:
            k, v = (x.transpose(0, 1).contiguous().transpose(0, 1) for x in (k, v))
        return AttentionCase(q, k, v, None if share is None else LookBack.of(index))

    return make


@pytest.fixture(scope="session")
def lab_of(family_of: Callable[[str], Any]) -> Callable[[str], Lab]:
    """The laboratory of a family, by its model type."""
    return cache(lambda name: Lab(family_of(name)))


@pytest.fixture(scope="session")
def lab(lab_of: Callable[[str], Lab]) -> Lab:
    """The laboratory of the embedded model's family."""
    return lab_of("qwen2_5_vl")


@pytest.fixture
def observe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Method], Observed]:
    """Lets a test watch one method class at work."""

    def start(method: Method) -> Observed:
        seen = Observed()
        plan_of = type(method).plan

        def plan(self: Method, context: PlanContext) -> Plan:
            made = plan_of(self, context)
            layers: dict[int, Tensor] = {}

            def refine(fresh: FreshLayer) -> Tensor | None:
                layers[fresh.layer] = fresh.tokens
                return made.look(fresh)

            seen.contexts.append(context)
            seen.plans.append(made)
            seen.computed.append(layers)
            return replace(made, refine=refine, looks_in=None)

        monkeypatch.setattr(type(method), "plan", plan)
        return seen

    return start


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``every_method`` for each method it holds for, as argument ``name``.

    That is every registered method, or what ``--method`` gives. Arguments of the marker:

    kind: the class that methods must derive from.
    takes: the setting of ``RunnerDefaults`` that methods must have an option for.
    variants: whether each is run with every other value of its options, one at a time, that are a choice, instead.
    also: specs to run besides the registered methods.
    others: attributes that methods must have with this value, such as ``uses_kv``.
    """
    marker = metafunc.definition.get_closest_marker("every_method")
    if marker is None:
        return
    given: list[str] = metafunc.config.getoption("--method")
    traits = dict(marker.kwargs)
    kind, takes = traits.pop("kind", Method), traits.pop("takes", None)
    variants, also = traits.pop("variants", False), traits.pop("also", ())
    names: list[str] = []
    for name in given or METHODS:
        method = _method_for_laws(name)
        holds = all(getattr(method, trait) == value for trait, value in traits.items())
        if holds and isinstance(method, kind) and (takes is None or takes in options_by_setting(method)):
            names += _variants(name, method) if variants else [name]
    metafunc.parametrize("name", names if given else [*names, *also])


def _method_for_laws(name: str) -> Method:
    """A method by its name, without options: laws give them."""
    if "@" in name:
        raise pytest.UsageError(f"--method {name}: leave out the options, the laws try them")
    try:
        return Lab.method(name)
    except UsageError as error:
        raise pytest.UsageError(f"--method {name}: {error}") from error


def _variants(name: str, method: Method) -> Iterator[str]:
    """Specs of a method with another value of one option each, of those that are a choice and no setting of a run."""
    hints = get_type_hints(type(method))
    for option in fields(method):
        choices = (False, True) if hints[option.name] is bool else get_args(hints[option.name])
        for choice in choices if option.name not in options_by_setting(method).values() else ():
            if choice != option.default:
                yield f"{name}@{option.name}={str(choice).lower() if isinstance(choice, bool) else choice}"
