"""The letter of an option: multiple choice as in Video-MME (arXiv 2405.21075) and MVBench (arXiv 2311.17005).

Their scripts take the first capital letter from A to D, be it that of a word, or compare first words. Here a letter
counts only where it stands as an answer: a reply that cannot be read so is wrong, and known as unreadable.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from workloads.judgement import Judgement
from workloads.records import Answer
from workloads.scoring.options import Options
from workloads.scoring.reply import final_part, plain
from workloads.scoring.statements import (
    UNCLEAR,
    Statement,
    called_correct,
    denied_letters,
    is_withdrawn,
    last_line,
    only_mention,
    said_to_be,
    stated,
)

LETTERED = ("option-letter", "mmmu")  # metrics by which a letter is the answer to a question with choices
MOST_CHOICES = len(ascii_uppercase)
LONGEST_REPLY = 20_000  # characters that are read, the last ones, after the reasoning


def option_letter(prediction: str, answer: Answer) -> Judgement:
    """1 if the reply names the right option, by its letter or by its whole text, else 0."""
    letter = read_letter(prediction, answer.choices)
    if letter is None:
        return Judgement(0.0, parsed=False)
    return Judgement(float(letter in {read_letter(text, answer.choices) for text in answer.accepted}))


def read_letter(reply: str, choices: Sequence[str] = ()) -> str | None:
    r"""The letter of the option that a reply names; None where it names none, or not clearly one.

    Reasoning is left out, and answer tags come before all else. What is said to be the answer comes next (also in
    ``\boxed{...}``), the last such statement before earlier ones; then an option that is called correct; then what the
    reply begins with, or its last line; then the only option in brackets at the end of a sentence. A letter that is
    denied, and two that contradict each other, are not read. Without ``choices`` every letter may be an option's.
    """
    final = final_part(reply)
    if final is None:
        return None
    options = Options.of(tuple(choices))
    text = plain(final[-LONGEST_REPLY:])
    if letter := options.alone(text):
        return letter
    if whole := options.whole(text):
        return whole[0] if len(whole) == 1 else None
    said = stated(text, options)
    letter = _without_statement(text, options) if said is None else _agreed(said, text, options)
    return letter if letter in options.letters else None


def _agreed(said: Statement, text: str, options: Options) -> str:
    """The letter that a statement names; ``UNCLEAR`` where the rest of the reply contradicts it."""
    rest = text[said.end :]
    others = {letter for letter, _ in called_correct(rest, options)}
    alone = options.alone_on_lines(rest) | options.alone_on_lines(text.partition("\n")[0])
    agreed = {said.letter} == {said.letter, *others, *alone} and not is_withdrawn(said.letter, rest, options)
    return said.letter if agreed and said.letter not in denied_letters(rest, options) else UNCLEAR


def _without_statement(text: str, options: Options) -> str:
    """The letter that a reply names without a word on the answer; ``UNCLEAR`` where there is none."""
    if letter := said_to_be(text, options):
        return letter
    correct = {letter for letter, _ in called_correct(text, options)}
    begun, last = options.begun_with(text), last_line(text, options)
    if begun is not None and last is None and is_withdrawn(begun, text, options):
        return UNCLEAR
    at_the_ends = {begun, last} - {None}
    named: set[str | None] = {*(correct or at_the_ends or only_mention(text, options))}
    (letter,) = named if len(named | at_the_ends) == 1 else {UNCLEAR}
    return UNCLEAR if letter is None or letter in denied_letters(text, options) else letter
