"""Take off what stands around an open answer: reasoning, answer tags, boxes, emphasis and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable

from workloads.judgement import Judgement
from workloads.scoring.reply import (
    BOXED,
    ESCAPED,
    MOST_NESTED,
    SPACING,
    SPECIAL_TOKEN,
    SWITCH,
    final_part,
    without_text_commands,
)

WRAPPED = re.compile(  # as a whole, and nothing but that
    r"(\*{1,3}|_{1,3}|`{1,3}|\$\$?)\s*(?P<marked>[^*_`$\s](?:.*[^*_`$\s])?)\s*\1"
    r"|\\\((?P<inline>.*)\\\)|\\\[(?P<displayed>.*)\\\]|\{(?P<grouped>[^{}]*)\}",
    re.DOTALL,
)

LATEX = re.compile(r"\\[A-Za-z(\[%$&#_]")
LONGEST = 100_000  # characters of a reply in which wrappers are looked for


def best(prediction: str, score: Callable[[str], float]) -> Judgement:
    """The best score, 0..1, of the texts that a reply may mean; unread where there is none."""
    found = [score(text) for text in readings(prediction)]
    return Judgement(max(found)) if found else Judgement(0.0, parsed=False)


def readings(text: str) -> tuple[str, ...]:
    r"""The texts that a reply may mean: what it says after its reasoning, and that without what stands around it.

    Answer tags come before all else. A box, ``\boxed{...}``, stands for the reply where all boxes hold the same. There
    is no text where a reply breaks off in its reasoning, or two answer tags differ.
    """
    final = final_part(text)
    if final is None or (text.strip() and not final.strip()):
        return ()
    said = SPECIAL_TOKEN.sub(" ", final).strip()
    return tuple(dict.fromkeys((said, _bare(said)))) if len(said) <= LONGEST else (said,)


def _bare(said: str) -> str:
    """A text without boxes, emphasis and LaTeX around it."""
    bare = without_text_commands(said)
    boxes = {(found[1] or found[2] or "").strip() for found in BOXED.finditer(bare)}
    bare = boxes.pop() if len(boxes) == 1 else bare
    for _ in range(MOST_NESTED):
        if not (wrapped := WRAPPED.fullmatch(bare.strip())):
            break
        bare = next(inner for inner in wrapped.groups()[1:] if inner is not None)
    return ESCAPED.sub(r"\1", SPACING.sub(" ", SWITCH.sub("", bare))).strip() if LATEX.search(said) else bare.strip()
