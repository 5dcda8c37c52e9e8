"""ANLS, average normalised Levenshtein similarity: DocVQA, InfographicVQA (arXiv 1905.13648, 2007.00398).

As in the official script of the benchmark (rrc.cvc.uab.es, ch=17) both texts are lowercased, white space is collapsed,
and a similarity of exactly the threshold still counts; by the first paper's formula it would not.
"""

from __future__ import annotations

from workloads.judgement import Judgement
from workloads.records import Answer
from workloads.scoring.open_answer import best

THRESHOLD = 0.5


def anls(prediction: str, answer: Answer) -> Judgement:
    """Similarity to the nearest accepted text: 1 - edit distance / length of the longer one; below 0.5 it is 0."""
    accepted = [_normalised(text) for text in answer.accepted]
    return best(prediction, lambda reply: max(_similarity(_normalised(reply), text) for text in accepted))


def _similarity(reply: str, gold: str) -> float:
    longer, shorter = max(len(reply), len(gold)), min(len(reply), len(gold))
    if not longer:
        return 1.0
    if shorter < longer * (1 - THRESHOLD):  # the lengths alone are too different
        return 0.0
    similarity = 1 - edit_distance(reply, gold) / longer
    return similarity if similarity >= THRESHOLD else 0.0


def edit_distance(first: str, second: str) -> int:
    """Levenshtein's distance: the fewest insertions, deletions and substitutions of characters."""
    row = list(range(len(second) + 1))
    for place, char in enumerate(first, 1):
        corner, row[0] = row[0], place
        for index, other in enumerate(second, 1):
            corner, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, corner + (char != other))
    return row[-1]


def _normalised(text: str) -> str:
    return " ".join(text.lower().split())
