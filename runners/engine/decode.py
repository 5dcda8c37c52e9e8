"""Greedy continuation, one token at a time, on the keys and values a prefill left.

A continuation over reused keys and values may be watched: it ends before a token that is in doubt, because the logits
of the two best are nearer to each other than the plan allows, so that more can be computed first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from runners.engine.adapters.base import Adapter
from runners.engine.attention.view import LookBack
from runners.engine.forward.layer import LayerKV, PlacedRows, run_layer
from runners.engine.forward.margin import logit_margin
from runners.engine.forward.recorded import run_step
from runners.engine.graphs.graphs import Graphs
from runners.engine.kv.buffer import KVBuffer
from runners.engine.prompt.tensors import PromptTensors


@dataclass(frozen=True)
class Continuation:
    """Decoded tokens.

    Attributes:
        tokens: the given ones among them; an end token, which is included, ends them early.
        margins: logit margins of the tokens behind the given ones, as many as were computed; empty if unwatched.
        in_doubt: whether it ended before a token whose logit margin was too small; that margin is the last.
    """

    tokens: tuple[int, ...]
    margins: tuple[float, ...]
    in_doubt: bool = False


def decode(
    adapter: Adapter,
    prompt: PromptTensors,
    kv: KVBuffer,
    given: Sequence[int],
    limit: int,
    least_margin: float | None = None,
) -> Continuation:
    """Decode up to ``limit`` tokens, the ``given`` ones among them.

    A step is one launch where ``kv`` is memory on which work is recorded.

    Args:
        prompt: with rotary angles for ``limit`` tokens more than it has.
        kv: keys and values of the prompt, with room for as many more; those of all tokens but the last are written.
        given: what was answered already, one token at least.
        least_margin: see ``Plan.least_margin``; None: margins are not looked at.
    """
    tokens, margins = list(given), []
    place = 0
    while place < len(given) - 1 or (len(tokens) < limit and tokens[-1] not in adapter.end_tokens):
        at, token = len(prompt.hidden) + place, tokens[place]
        watched = least_margin is not None and place >= len(given) - 1
        if kv.graphs is None:
            following, margin = _next(adapter, prompt, kv, at, token, watched)
        else:
            following, margin = _replayed(kv.graphs, adapter, prompt, kv, at, token, watched=watched)
        place += 1
        if place < len(given):
            continue
        if margin is not None and least_margin is not None:
            margins.append(float(margin))
            if margins[-1] < least_margin:
                return Continuation(tuple(tokens), tuple(margins), in_doubt=True)
        tokens.append(int(following))
    return Continuation(tuple(tokens), tuple(margins))


@dataclass(frozen=True)
class Retraced:
    """How far greedy decoding would give an answer.

    Attributes:
        same: leading tokens of the answer that it would give.
        margins: logit margins of these, and of the first that it would not.
    """

    same: int
    margins: tuple[float, ...]


def retrace(adapter: Adapter, prompt: PromptTensors, kv: KVBuffer, logits: Tensor, answer: Sequence[int]) -> Retraced:
    """Compare what ``decode`` would give with an answer, in one pass over its tokens in place of one for each.

    As a speculative decoder checks a draft (arXiv 2211.17192). Up to rounding, the outcome is that of ``decode``.

    Args:
        prompt, kv: as of ``decode``; keys and values of the answer's tokens are written behind the prompt's.
        logits: of the answer's first token, ``(vocabulary,)``.
        answer: one token at least.
    """
    tokens = torch.tensor(answer, device=adapter.device)
    rows = logits[None]
    if len(answer) > 1:
        start, end = len(prompt.hidden), len(prompt.hidden) + len(answer) - 1
        rows = torch.cat((rows, _logits_behind(adapter, prompt, kv, slice(start, end), tokens[:-1])))
    right = rows.argmax(dim=-1) == tokens
    same = len(answer) if bool(right.all()) else int(right.int().argmin())
    return Retraced(same, tuple(logit_margin(rows[: same + 1]).tolist()))


def _next(
    adapter: Adapter, prompt: PromptTensors, kv: KVBuffer, at: int, token: int, watched: bool
) -> tuple[Tensor, Tensor | None]:
    """The token after ``token``, whose index in the sequence is ``at``; its logit margin if watched; each ``(1,)``."""
    tokens = torch.tensor([token], device=adapter.device)
    logits = _logits_behind(adapter, prompt, kv, slice(at, at + 1), tokens)
    return logits.argmax(dim=-1), logit_margin(logits) if watched else None


def _logits_behind(adapter: Adapter, prompt: PromptTensors, kv: KVBuffer, slots: slice, tokens: Tensor) -> Tensor:
    """Compute the logits behind each of some tokens in a row, whose places are ``slots``, ``(tokens, vocabulary)``."""
    at = torch.arange(slots.start, slots.stop)
    rows = PlacedRows((prompt.cos[slots], prompt.sin[slots]), LookBack.of(at, adapter.device))
    hidden = adapter.embed(tokens)
    for index in range(adapter.shape.layers):
        hidden = run_layer(adapter, index, hidden, rows, LayerKV(*kv.layer(index), slots)).hidden
    return adapter.head(hidden)


def _replayed(
    graphs: Graphs, adapter: Adapter, prompt: PromptTensors, kv: KVBuffer, at: int, token: int, *, watched: bool
) -> tuple[Tensor, Tensor | None]:
    """The same in one launch, or as it is and recorded behind the answer."""
    arena, k, v = graphs.arena, kv.k, kv.v
    row = arena.fill(torch.tensor([at]), kept=None, scratch=at, cos=prompt.cos, sin=prompt.sin)
    arena.token.fill_(token)
    margin = arena.margin if watched else None
    graphs.run(("step", k.shape[2], watched), partial(run_step, adapter, arena.token, margin), row, k, v)
    return arena.token, margin
