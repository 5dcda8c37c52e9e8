"""Is ``full`` a fair reference? Its TTFT against the stock ``generate(max_new_tokens=1)`` of transformers, paired.

    python docs/benchmarks/full_vs_transformers.py [--model DIR] [--workload NAME] [--requests N]

Both start from the same encoded files and the same messages, use the same image processor and the same weights, and end
with the first token id on the host. The second comparison is the prefill alone: from input embeddings and positions to
the logits of the last token, with the cache filled. Every request is answered by both, in random order, after a
warm-up; the ratio ours / theirs is taken per request, and the interval of its median is a bootstrap over requests.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from runners.base import Request
from runners.builtin import MODEL_DIR
from runners.engine.engine import Engine
from runners.engine.media import decode_image
from runners.engine.plan import Plan
from runners.engine.prefill import KVBuffer, PromptTensors, prefill
from runners.methods.full_recompute import FullRecompute
from runners.models import load_model
from workloads.base import StreamOptions
from workloads.records import media_in
from workloads.registry import load_workload

WARMUP = 5


class Stock:
    """The path of a user of transformers alone."""

    def __init__(self, path: Path) -> None:
        self.model: Any = transformers.AutoModelForImageTextToText.from_pretrained(
            path, attn_implementation="sdpa"
        ).eval()
        self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(path)
        self.images: Any = AutoImageProcessor.from_pretrained(path)

    def inputs(self, request: Request) -> dict[str, torch.Tensor]:
        """Decode, preprocess, template, expand, tokenise."""
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
        batch = self.images(images=[decode_image(item) for item in media], return_tensors="pt")
        for grid in batch["image_grid_thw"]:
            text = text.replace("<|image_pad|>", "<|hole|>" * int(grid.prod() // 4), 1)
        ids = self.tokenizer(text.replace("<|hole|>", "<|image_pad|>"), return_tensors="pt").input_ids
        return {"input_ids": ids, "mm_token_type_ids": (ids == self.model.config.image_token_id).int(), **batch}

    def first_token(self, request: Request) -> int:
        """From encoded files to the first token."""
        out = self.model.generate(**self.inputs(request), max_new_tokens=1, do_sample=False)
        return int(out[0, -1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--workload", default="doc-qa", help="a workload of images")
    parser.add_argument("--requests", type=int, default=60)
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

    stock = Stock(options.model)
    loaded = load_model(str(options.model), options.model, "float32", "cpu")
    engine = Engine(loaded.adapter, FullRecompute(), budget=0)
    requests = [
        Request(turn.id, conversation.prompt(index), max_new_tokens=1)
        for conversation in load_workload(options.workload).conversations(StreamOptions(options.requests, seed=77))
        for index, turn in enumerate(conversation.turns)
    ]
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    print(f"{versions}, {torch.get_num_threads()} threads, float32, CPU")
    with torch.inference_mode():
        compare("TTFT from encoded files", requests, lambda r: engine.answer(r).token_ids[0], stock.first_token)
        prepared = {request.id: prepare(stock, request) for request in requests}
        compare(
            "prefill alone",
            requests,
            lambda r: our_prefill(loaded.adapter, *prepared[r.id]),
            lambda r: stock_prefill(stock, *prepared[r.id]),
        )


def prepare(stock: Stock, request: Request) -> tuple[torch.Tensor, torch.Tensor]:
    """Input embeddings, ``(1, tokens, hidden)``, and positions, ``(3, 1, tokens)``, of a request."""
    inputs = stock.inputs(request)
    model = stock.model.model
    features = torch.cat(model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output)
    embedded = model.get_input_embeddings()(inputs["input_ids"])
    embedded = embedded.masked_scatter(inputs["mm_token_type_ids"].bool()[..., None], features)
    positions, _ = model.get_rope_index(
        inputs["input_ids"], mm_token_type_ids=inputs["mm_token_type_ids"], image_grid_thw=inputs["image_grid_thw"]
    )
    return embedded, positions


def our_prefill(adapter: Any, embedded: torch.Tensor, positions: torch.Tensor) -> int:
    """The engine's prefill of everything."""
    tokens = embedded.shape[1]
    prompt = PromptTensors(embedded[0], *adapter.rotary(positions[:, 0]))
    plan = Plan(torch.full((tokens,), adapter.shape.layers))
    result = prefill(adapter, prompt, KVBuffer.allocate(adapter, tokens), plan)
    return int(adapter.head(result.hidden)[0].argmax())


def stock_prefill(stock: Stock, embedded: torch.Tensor, positions: torch.Tensor) -> int:
    """The stock language model with its cache, and the head of the last token."""
    out = stock.model.model.language_model(inputs_embeds=embedded, position_ids=positions, use_cache=True)
    return int(stock.model.lm_head(out.last_hidden_state[:, -1:]).argmax())


def compare(
    title: str, requests: Sequence[Request], ours: Callable[[Request], int], theirs: Callable[[Request], int]
) -> None:
    """Time both on every request, in random order, and print the ratio."""
    rng = np.random.default_rng(0)
    for request in requests[:WARMUP]:
        ours(request), theirs(request)
    times = np.empty((len(requests), 2))
    same = 0
    for row, request in enumerate(requests):
        tokens = {}
        for column in rng.permutation(2):
            started = time.perf_counter()
            tokens[column] = (ours, theirs)[column](request)
            times[row, column] = time.perf_counter() - started
        same += tokens[0] == tokens[1]
    ratios = times[:, 0] / times[:, 1]
    medians = np.median(rng.choice(ratios, (10_000, len(ratios))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    ours_ms, theirs_ms = np.median(times, axis=0) * 1e3
    print(
        f"{title}: ours {ours_ms:.1f} ms, transformers {theirs_ms:.1f} ms, ratio {np.median(ratios):.3f} "
        f"[{low:.3f}, {high:.3f}], same token {same}/{len(requests)}"
    )


if __name__ == "__main__":
    main()
