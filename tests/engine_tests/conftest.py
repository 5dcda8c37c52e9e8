"""A laboratory: a tiny random checkpoint in the real format, requests to ask it, and stock Hugging Face answers."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from runners.base import Request, Response
from runners.builtin.architecture import build_config, build_image_processor, build_model
from runners.builtin.tokenizer import build_tokenizer
from runners.engine.engine import Engine
from runners.engine.media import content_key
from runners.engine.plan import FreshLayer, Plan
from runners.engine.store.entries import MediaEntry
from runners.methods.base import Method, PlanContext
from runners.models import LoadedModel, load_model
from runners.records import Status
from runners.registry import RunnerDefaults, load_method, parse_specs
from workloads.drawing import Grid, Page, encode_clip
from workloads.records import Media, Message, media_in

LAYERS = 5
BUDGET = 1 << 28
TOLERANCE = 2e-4  # of float32 logits of order 1


class Lab:
    """What the engine's tests need, made once."""

    def __init__(self, path: Path) -> None:
        from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

        self.path = path
        self.model: LoadedModel = load_model("tiny", path, "float32", "cpu")
        self.adapter = self.model.adapter
        self.stock: Any = AutoModelForImageTextToText.from_pretrained(path).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(path)
        self.images: Any = AutoImageProcessor.from_pretrained(path)

    @staticmethod
    def method(text: str, **defaults: Any) -> Method:
        """The method of a runner spec; keywords are those of ``RunnerDefaults``."""
        (spec,) = parse_specs([text], RunnerDefaults(**defaults))
        return load_method(spec)

    def stored(self, engine: Engine, medium: Media) -> MediaEntry | None:
        """What an engine's store holds of a medium."""
        return engine._media.get(content_key(medium, self.adapter.processor_fingerprint()))

    def engine(self, method: Method, budget: int = BUDGET, strict: bool = False) -> Engine:
        return Engine(self.adapter, method, budget, strict)

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
        """Template, expand the placeholders, tokenise: what the family's processor does with images."""
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
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
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


@pytest.fixture(scope="session")
def tiny_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face directory with random weights, scaled so that attention is far from flat."""
    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    model = build_model(build_config(tokenizer, layers=LAYERS))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("q_proj.weight", "k_proj.weight", "o_proj.weight", "down_proj.weight")):
                weight.mul_(2.0)
            elif name.endswith("bias"):
                weight.normal_(std=0.3)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    build_image_processor().save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def lab(tiny_dir: Path) -> Lab:
    return Lab(tiny_dir)


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
                return made.refine(fresh) if made.refine else None

            seen.contexts.append(context)
            seen.plans.append(made)
            seen.computed.append(layers)
            return replace(made, refine=refine)

        monkeypatch.setattr(type(method), "plan", plan)
        return seen

    return start
