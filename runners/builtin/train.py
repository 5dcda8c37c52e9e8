"""``python -m runners.builtin.train``: the embedded model's training recipe, seeded and resumable.

Writes a complete Hugging Face directory with a model card. From nothing about 50 minutes on two CPU cores. Kill it and
start it again with the same arguments: it goes on from its last checkpoint. Every step draws from a stream named after
its own number, so a resumed run sees the same lessons.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.utils import logging as transformers_logging

from runners.builtin import checkpoint
from runners.builtin.architecture import (
    ROTARY_BASE,
    TOKENS_PER_SECOND,
    build_config,
    build_image_processor,
    build_model,
)
from runners.builtin.batches import Collator
from runners.builtin.card import recipe_of, write_card
from runners.builtin.curriculum import CURRICULA, Curriculum, Place, place_of, total_steps
from runners.builtin.exam import examine
from runners.builtin.grow import grow_from
from runners.builtin.lessons import Lesson, draw_lesson
from runners.builtin.objective import Objective
from runners.builtin.tokenizer import build_tokenizer
from workloads.seeding import stream

WARMUP_STEPS = 50
DECAY_SHARE = 0.3  # of a cycle's steps, at its end, down to zero
LABELS_PER_ANSWER = 3  # after the question, where the answer stands, after the answer
CHECKPOINT_EVERY = 100
COMMAND = "python -m runners.builtin.train"
LOG_EVERY = 20


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="directory for the model, its log and checkpoint")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another model")
    parser.add_argument("--layers", type=int, default=8, help="decoder layers")
    parser.add_argument("--curriculum", choices=sorted(CURRICULA), default="complete", help="see curriculum.py")
    parser.add_argument("--rotary-base", type=float, default=ROTARY_BASE, help="of the vision encoder")
    parser.add_argument("--grow-from", type=Path, help="directory of a trained model, no deeper, to begin with")
    parser.add_argument("--compile", action="store_true", help="fuse layers with torch.compile (needs a C++ compiler)")
    parser.add_argument("--bfloat16", action="store_true", help="autocast matrix products to bfloat16")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    curriculum = CURRICULA[options.curriculum]
    model = train(options, curriculum)
    write_card(options.output, model, made_with(options, total_steps(curriculum)), examine(options.output))


def train(options: argparse.Namespace, curriculum: Curriculum) -> Qwen2_5_VLForConditionalGeneration:
    """Run the curriculum from the last checkpoint on, write the model and return it."""
    transformers_logging.set_verbosity_error()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    tokenizer = build_tokenizer()
    config = build_config(tokenizer, options.layers, options.rotary_base)
    model = build_model(config)
    if options.grow_from:
        grow_from(model, options.grow_from)
    objective = Objective(model).to(device)
    collate = Collator(tokenizer, TOKENS_PER_SECOND)
    optimiser = torch.optim.AdamW(objective.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    state, log = options.output / "checkpoint.safetensors", options.output / "training_log.jsonl"
    done = checkpoint.load(state, objective, optimiser) if state.exists() else 0
    _truncate_log(log, done)
    if options.compile:
        for layer in objective.model.model.language_model.layers:
            layer.compile(dynamic=True)
    total, started = total_steps(curriculum), time.monotonic()
    for step in range(done, total):
        place = place_of(step, curriculum)
        stage = place.stage
        rng = stream("train", "lessons", options.seed, step)
        lessons = [draw_lesson(rng, stage.syllabus) for _ in range(stage.lessons)]
        batch = collate(rng, lessons).to(device)
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(place)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.bfloat16):
            losses, right = objective(batch)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if (step + 1) % LOG_EVERY == 0:
            line = {
                "step": step + 1,
                "stage": stage.name,
                "seconds": round(time.monotonic() - started, 1),
                "loss": {name: round(loss.item(), 3) for name, loss in losses.items()},
                "accuracy": _by_family(lessons, right),
            }
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
        if (step + 1) % CHECKPOINT_EVERY == 0:
            checkpoint.save(state, step + 1, objective, optimiser)
    write_model(objective.model, options.output)
    return objective.model


def made_with(options: argparse.Namespace, steps: int) -> str:
    """How a model is made with ``options``, in words; with how the one was made that it grows from."""
    command = f"--seed {options.seed} --layers {options.layers} --curriculum {options.curriculum}"
    command += f" --rotary-base {options.rotary_base:g}"
    command += " --compile" * options.compile + " --bfloat16" * options.bfloat16
    if options.grow_from is None:
        return f"`{COMMAND} --output DIR {command}` in {steps} steps"
    begun = recipe_of(options.grow_from)
    return f"`{COMMAND} --output DIR --grow-from BEGUN {command}` in {steps} steps; BEGUN by {begun}"


def write_model(model: Qwen2_5_VLForConditionalGeneration, output: Path) -> None:
    """Write what ``from_pretrained`` and the Auto classes need, with weights in float32."""
    model.save_pretrained(output)
    build_tokenizer().save_pretrained(output)
    build_image_processor().save_pretrained(output)


def _learning_rate(place: Place) -> float:
    """Warm-up, constant, cosine decay: once in every cycle."""
    steps, step = place.cycle.steps, place.step
    decay_from = steps * (1 - DECAY_SHARE)
    if step < decay_from:
        return place.cycle.learning_rate * min(1.0, (step + 1) / WARMUP_STEPS)
    return place.cycle.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - decay_from) / (steps - decay_from)))


def _by_family(lessons: Sequence[Lesson], right: torch.Tensor) -> dict[str, float]:
    """Share of right answers per question family, at the place where the answer is generated."""
    families = [question.family for lesson in lessons for question in lesson.questions]
    hits: dict[str, list[bool]] = defaultdict(list)
    for family, hit in zip(families, right.tolist()[1::LABELS_PER_ANSWER], strict=True):
        hits[family].append(hit)
    return {family: round(sum(found) / len(found), 3) for family, found in sorted(hits.items())}


def _truncate_log(log: Path, done: int) -> None:
    """Drop what was logged after the checkpoint we go on from, and a last line that was cut short."""
    if log.exists():
        whole = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        log.write_text("".join(line for line in whole if json.loads(line)["step"] <= done))


if __name__ == "__main__":
    main()
