"""The letter of an option: multiple choice as in Video-MME (arXiv 2405.21075) and MVBench (arXiv 2311.17005).

Their scripts take the first capital letter from A to D, be it that of a word, or compare first words. Here a letter
counts only where it stands as an answer: a reply that cannot be read so is wrong, and known as unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from workloads.judgement import Judgement
from workloads.records import Answer

LETTERED = ("option-letter", "mmmu")  # metrics by which a letter is the answer to a question with choices
MOST_CHOICES = len(ascii_uppercase)
EMPHASIS = re.compile(r"[*_`$]")
NOUN = r"(?:(?:option|choice|letter)\s+)?"
SAID = re.compile(
    rf"(?:\b(?:answer|(?:correct|best|right)\s+(?:option|choice))(?:\s*[:=]|\s+(?:is|would\s+be)\b:?)\s*{NOUN}"
    r"|\\boxed\{)",
    re.IGNORECASE,
)
ALONE = re.compile(r"\W*(?P<letter>[A-Za-z])\W*")  # (B), B., b
AND_NO_OTHER = r"(?!\W*(?:(?:or|and)\s+)?[(\[]?[A-Z]\b)"
NOT_DENIED = r"(?!\s+(?:not|wrong|incorrect|false)\b)"
LABELLED = re.compile(  # (B) the cat, B. the cat
    rf"(?:[(\[](?P<bracketed>[A-Za-z])[)\]]|(?P<marked>[A-Za-z])[).:](?=\s)){AND_NO_OTHER}"
)
EXPLAINED = re.compile(
    rf"(?P<letter>[A-Z])(?:\s*[,;\n]|\s+[-\u2013\u2014]\s|\s+(?:is{NOT_DENIED}|because|since)\b){AND_NO_OTHER}"
)
BRACKETED = re.compile(r"[(\[](?P<letter>[A-Z])[)\]]")
AT_THE_END = ".,;:!?"


def option_letter(prediction: str, answer: Answer) -> Judgement:
    """1 if the reply names the right option, by its letter or by its whole text, else 0."""
    letter = read_letter(prediction, answer.choices)
    if letter is None:
        return Judgement(0.0, parsed=False)
    return Judgement(float(letter in {read_letter(text, answer.choices) for text in answer.accepted}))


def read_letter(reply: str, choices: Sequence[str] = ()) -> str | None:
    """The letter of the option that a reply names; None where it names none, or not clearly one.

    What is said to be the answer comes first, the last such statement before earlier ones; then what the reply begins
    with; then the only letter in brackets. Without ``choices`` every letter may be an option's.
    """
    text = EMPHASIS.sub("", reply).strip()
    statements = [text[match.end() :].partition("\n")[0] for match in SAID.finditer(text)][::-1]
    letters = [letter for statement in [*statements, text] if (letter := _named(statement, choices)) is not None]
    bracketed = {match["letter"] for match in BRACKETED.finditer(text)}
    if not letters and len(bracketed) == 1:
        letters = list(bracketed)
    return letters[0] if letters and letters[0] in _known(choices) else None


def _named(statement: str, choices: Sequence[str]) -> str | None:
    """The option that a statement consists of or begins with."""
    plain = re.sub(rf"^{NOUN}", "", statement.strip(), flags=re.IGNORECASE)
    if (match := ALONE.fullmatch(plain)) and match["letter"].upper() in _known(choices):
        return match["letter"].upper()
    texts = [_normalised(choice) for choice in choices]
    repeated = [letter for letter, text in zip(ascii_uppercase, texts, strict=False) if text == _normalised(plain)]
    if repeated:
        return repeated[0] if len(repeated) == 1 else None
    if match := LABELLED.match(plain):
        return (match["bracketed"] or match["marked"]).upper()
    if match := EXPLAINED.match(plain):
        return match["letter"]
    with_text = [
        letter
        for letter, text in zip(ascii_uppercase, texts, strict=False)
        if plain.startswith(f"{letter} ") and _normalised(plain[2:]) == text
    ]
    return with_text[0] if with_text else None


def _known(choices: Sequence[str]) -> str:
    """The letters that options have."""
    return ascii_uppercase[: len(choices)] if choices else ascii_uppercase


def _normalised(text: str) -> str:
    return " ".join(EMPHASIS.sub("", text).casefold().split()).rstrip(AT_THE_END)
