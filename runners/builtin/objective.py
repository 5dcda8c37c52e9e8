"""The training loss: answers, and what the vision tokens should know."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import Qwen2_5_VLForConditionalGeneration

from runners.builtin.batches import Batch
from runners.builtin.lessons import GLYPHS, UNLABELLED
from workloads.synthetic.cards import DIGITS, MOST_MARKS
from workloads.synthetic.video import MOMENTS

GLYPH_CLASSES = len(GLYPHS) + 1
BLANK_WEIGHT = 0.1  # most cells are blank and easy


class Objective(nn.Module):
    """The model with auxiliary heads, which are thrown away after training.

    Heads on the encoder's output read a token's own glyph, its left neighbour's and the moment it shows; heads on the
    hidden state after half of the layers read which of its kind a mark is, what the token's key stood for before, and
    whether that changed.
    """

    glyph_weights: torch.Tensor

    def __init__(self, model: Qwen2_5_VLForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        width = model.lm_head.in_features
        self.middle = len(model.model.language_model.layers) // 2
        self.encoder_heads = nn.ModuleDict(
            {
                "glyph": nn.Linear(width, GLYPH_CLASSES),
                "left": nn.Linear(width, GLYPH_CLASSES),
                "clock": nn.Linear(width, MOMENTS),
            }
        )
        self.middle_heads = nn.ModuleDict(
            {
                "rank": nn.Linear(width, MOST_MARKS),
                "before": nn.Linear(width, len(DIGITS)),
                "changed": nn.Linear(width, 2),
            }
        )
        blanks = torch.ones(GLYPH_CLASSES)
        blanks[0] = BLANK_WEIGHT
        self.register_buffer("glyph_weights", blanks, persistent=False)

    def forward(self, batch: Batch) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The losses by name, and whether each answer was right, ``(answers,)`` bool."""
        text = self.model.model.language_model
        features = self.model.model.visual(batch.pixels, grid_thw=batch.grids).pooler_output
        embedded = text.embed_tokens(batch.ids)
        hidden = embedded.masked_scatter(batch.vision[..., None], features.to(embedded.dtype))
        rotary = text.rotary_emb(hidden, batch.positions)
        losses = {
            name: _masked_loss(
                head(features), batch.targets[name], self.glyph_weights if name in ("glyph", "left") else None
            )
            for name, head in self.encoder_heads.items()
        }
        for index, layer in enumerate(text.layers):
            hidden = layer(hidden, attention_mask=None, position_embeddings=rotary)
            if index + 1 == self.middle:
                seen = hidden[batch.vision]
                for name, head in self.middle_heads.items():
                    losses[name] = _masked_loss(head(seen), batch.targets[name])
        asked = batch.answers != UNLABELLED
        logits = self.model.lm_head(text.norm(hidden[asked]))
        answers = batch.answers[asked]
        losses["answer"] = cross_entropy(logits.float(), answers)
        return losses, logits.argmax(-1) == answers


def _masked_loss(logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Cross entropy over the labelled tokens, 0 where there are none."""
    labelled = labels != UNLABELLED
    if not bool(labelled.any()):
        return logits.sum() * 0.0
    return cross_entropy(logits[labelled].float(), labels[labelled], weight=weight)
