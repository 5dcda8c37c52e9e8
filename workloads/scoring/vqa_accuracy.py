"""VQA accuracy: VQAv2, TextVQA (arXiv 1505.00468; GT-Vision-Lab/VQA, ``vqaEval.py``).

Ten people answered each question. Of any nine of them, a reply is right when three say the same; the score is the mean
over the ten ways to leave one out. Reply and answers are normalised by the official rules, oddities included but for
one: where all ten wrote the same, that script normalises nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from workloads.judgement import Judgement
from workloads.records import Answer
from workloads.scoring.open_answer import best

ENOUGH = 3  # people who say the same
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
PERIOD = re.compile(r"\.(?!\d)")
COMMA_IN_A_NUMBER = re.compile(r"\d,\d")
ARTICLES = ("a", "an", "the")
DIGITS = {"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}
DIGITS |= {"seven": "7", "eight": "8", "nine": "9", "ten": "10"}
WITH_APOSTROPHES = """
    'ow's'at 'twas ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
    haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've must've
    mustn't needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll
    somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd
    there'd've there're there's they'd they'd've they'll they're they've wasn't we'd've we've weren't what'll what're
    what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
    would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're you've
"""
CONTRACTIONS = {
    word[:place] + word[place + 1 :]: word
    for word in WITH_APOSTROPHES.split()
    for place, char in enumerate(word)
    if char == "'"
} | {"somebody'd": "somebodyd"}  # as officially spelt


def vqa_accuracy(prediction: str, answer: Answer) -> Judgement:
    """Share of agreement among people: the mean over all of them but one of min(1, how many say the same / 3).

    Of fewer than four people all the others must say the same.
    """
    accepted = [normalised(text) for text in answer.accepted]
    return best(prediction, lambda reply: _agreement([text == normalised(reply) for text in accepted]))


def _agreement(matches: Sequence[bool]) -> float:
    others = len(matches) - 1
    if not others:
        return float(matches[0])
    enough = min(ENOUGH, others)
    return sum(min(1.0, (sum(matches) - own) / enough) for own in matches) / len(matches)


def normalised(text: str) -> str:
    """Lower case without punctuation and articles, numbers up to ten as digits, apostrophes where they belong."""
    words = (DIGITS.get(word, word) for word in _without_punctuation(" ".join(text.split())).lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def _without_punctuation(text: str) -> str:
    """Punctuation beside a space is left out, other becomes a space; where a number has a comma all is left out."""
    has_comma = COMMA_IN_A_NUMBER.search(text) is not None
    plain = text
    for mark in PUNCTUATION:
        beside_space = f"{mark} " in text or f" {mark}" in text
        plain = plain.replace(mark, "" if has_comma or beside_space else " ")
    return PERIOD.sub("", plain)
