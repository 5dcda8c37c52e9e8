"""Token F1 of SQuAD (arXiv 1606.05250; rajpurkar/SQuAD-explorer, ``evaluate-v2.0.py``).

One thing is left out: there, an accepted text of articles alone ("A") is dropped where another one has words.
"""

from __future__ import annotations

import re
import string
from collections import Counter

from workloads.judgement import Judgement
from workloads.records import Answer
from workloads.scoring.open_answer import best

ARTICLES = re.compile(r"\b(a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def f1(prediction: str, answer: Answer) -> Judgement:
    """Harmonic mean of precision and recall of words, case, punctuation and articles aside; the best text counts."""
    accepted = [_words(text) for text in answer.accepted]
    return best(prediction, lambda reply: max(_overlap(_words(reply), words) for words in accepted))


def _overlap(reply: list[str], gold: list[str]) -> float:
    if not reply or not gold:
        return float(reply == gold)
    shared = (Counter(reply) & Counter(gold)).total()
    return 2 * shared / (len(reply) + len(gold))


def _words(text: str) -> list[str]:
    return ARTICLES.sub(" ", text.lower().translate(NO_PUNCTUATION)).split()
