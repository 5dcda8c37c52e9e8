"""`mmmu`: MMMU's own parsers (MMMU-Benchmark/MMMU, `eval/utils`), as they come with lm-eval, but no guess counts.

lm-eval's ``process_results`` knows nine letters; here there are as many as options, of which MMMU-Pro has ten. The
parser takes any capital between blanks for a letter: one that is only an article ("A dog") or a pronoun ("I think so")
counts as a guess.
"""

from __future__ import annotations

from dataclasses import replace
from string import ascii_uppercase

from workloads.judgement import Judgement
from workloads.records import Answer
from workloads.scoring.official import officially, random_state_kept
from workloads.scoring.option_letter import read_letter
from workloads.scoring.options import Options

STRIPPED = ",.!?;:'"  # by MMMU's parser
WORDS = ("A", "I")  # letters that are words, too


def mmmu(prediction: str, answer: Answer) -> Judgement:
    """1 if MMMU's parser reads the right option, or the open answer, in the reply; its guesses count as unread."""
    with random_state_kept():  # the module seeds it when it is loaded
        from lm_eval.tasks.mmmu import utils

    choices = answer.choices
    accepted = [read_letter(text, choices) or text if choices else text for text in answer.accepted]
    gold = accepted if len(accepted) > 1 else accepted[0]
    letters = list(ascii_uppercase[: len(choices)])
    texts = dict(zip(letters, choices, strict=False))

    read = ""

    def score() -> float:
        nonlocal read
        if choices:
            read = utils.parse_multi_choice_response(prediction, letters, texts)
            return float(utils.eval_multi_choice(gold, read))
        return float(utils.eval_open(gold, utils.parse_open_response(prediction)))

    kind = "multiple-choice" if choices else "open"
    judgement = officially(
        score, answer.seed or str({"question_type": kind, "options": repr(list(choices)), "answer": gold})
    )
    return replace(judgement, score=0.0, parsed=False) if _is_word(read, prediction, choices) else judgement


def _is_word(letter: str, reply: str, choices: tuple[str, ...]) -> bool:
    """Whether MMMU's parser took an article or a pronoun for this letter."""
    options = Options.of(choices)
    between_blanks = f" {letter} " in f" {reply.strip(STRIPPED)} "
    if letter not in WORDS or not between_blanks or any(f"({other})" in reply for other in options.letters):
        return False
    return letter not in options.letters_in(reply) and read_letter(reply, choices) != letter
