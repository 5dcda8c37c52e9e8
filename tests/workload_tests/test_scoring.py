"""Metrics against answers worked out by hand, against other people's implementations, and by their laws."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workloads.judgement import Judgement
from workloads.records import Answer
from workloads.scoring import METRICS, judge, load_metric
from workloads.scoring.anls import edit_distance
from workloads.scoring.option_letter import read_letter
from workloads.scoring.vqa_accuracy import normalised

TEXTS = st.text(max_size=30)
ANIMALS = ("the dog", "the cat", "a bird", "two")


def score(prediction: str, accepted: Sequence[str], metric: str, choices: Sequence[str] = ()) -> float:
    return judge(prediction, Answer(tuple(accepted), metric, tuple(choices))).score


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_is_found_by_its_name_and_says_what_it_is(metric: str) -> None:
    assert load_metric(metric).__doc__


@pytest.mark.parametrize("metric", METRICS)
@given(prediction=TEXTS, accepted=st.lists(TEXTS, min_size=1, max_size=12), choices=st.lists(TEXTS, max_size=4))
def test_every_score_is_from_0_to_1_and_0_where_nothing_was_read(
    metric: str, prediction: str, accepted: list[str], choices: list[str]
) -> None:
    found = judge(prediction, Answer(tuple(accepted), metric, tuple(choices)))
    assert 0 <= found.score <= (1 if found.parsed else 0)
    assert found.official is None or 0 <= found.official <= 1


@pytest.mark.parametrize("metric", ["exact-match", "anls", "relaxed-accuracy", "f1"])
@given(accepted=st.lists(TEXTS, min_size=1, max_size=3), data=st.data())
def test_every_accepted_text_is_right_in_any_order(metric: str, accepted: list[str], data: Any) -> None:
    assert all(score(text, accepted, metric) == 1 for text in accepted)
    prediction, shuffled = data.draw(TEXTS), data.draw(st.permutations(accepted))
    assert score(prediction, accepted, metric) == score(prediction, shuffled, metric)


@pytest.mark.parametrize("metric", ["exact-match", "anls", "f1"])
@given(one=TEXTS, other=TEXTS)
def test_likeness_is_mutual(metric: str, one: str, other: str) -> None:
    assert score(one, [other], metric) == pytest.approx(score(other, [one], metric))


@pytest.mark.parametrize(
    ("prediction", "accepted", "expected"),
    [
        ("7", ("7",), 1),
        (" 7\n", ("7",), 1),
        ("none", ("None", "none "), 1),
        ("A", ("a",), 0),
        ("7 7", ("7",), 0),
        ("7.", ("7",), 0),
        ("", ("7",), 0),
        ("", ("",), 1),
    ],
)
def test_exact_match(prediction: str, accepted: tuple[str, ...], expected: float) -> None:
    assert score(prediction, accepted, "exact-match") == expected


@pytest.mark.parametrize(
    ("prediction", "accepted", "expected"),
    [
        ("United States", ["united  states "], 1),
        ("Untied States", ["United States"], 1 - 2 / 13),
        ("red", ["blue", "rod", "reds"], 3 / 4),
        ("abcd", ["abxy"], 1 / 2),  # on the threshold
        ("abcd", ["awxy"], 0),
        ("12.90 euros", ["12.90"], 0),
        ("", ["a"], 0),
        ("", [""], 1),
    ],
)
def test_anls(prediction: str, accepted: list[str], expected: float) -> None:
    assert score(prediction, accepted, "anls") == pytest.approx(expected)


@given(first=st.text("abc", max_size=8), second=st.text("abc", max_size=8))
def test_edit_distance_is_levenshteins(first: str, second: str) -> None:
    @cache
    def distance(left: int, right: int) -> int:
        """By the recursive definition."""
        if not left or not right:
            return left + right
        changed = distance(left - 1, right - 1) + (first[left - 1] != second[right - 1])
        return min(distance(left - 1, right) + 1, distance(left, right - 1) + 1, changed)

    assert edit_distance(first, second) == distance(len(first), len(second))


@given(gold=st.text("abcde ", min_size=1, max_size=12), reply=st.text("abcdeA ", max_size=12))
def test_anls_is_that_of_anls_star(gold: str, reply: str) -> None:
    anls_star = pytest.importorskip("anls_star", reason="anls_star is not installed")
    assert score(reply, [gold], "anls") == pytest.approx(anls_star.anls_score((gold,), reply))


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("105", "100", 1),
        ("105.1", "100", 0),
        ("95", "100", 1),
        ("-100", "100", 0),
        ("1,234.", "1234", 1),
        ("$14,000", "14000", 1),
        ("5%", "5", 1),
        ("5", "0.05", 0),
        ("5%", "0.05", 1),
        ("0.05", "5%", 1),
        ("0", "0.0", 1),
        ("0.1", "0", 0),
        ("Yes", "yes", 1),
        ("yes.", "Yes", 1),
        ("'Blue'", "blue", 1),
        ("dark blue", "blue", 0),
        ("nan", "5", 0),
        ("inf", "inf", 1),
        ("Apple pie", "A", 0),
    ],
)
def test_relaxed_accuracy(prediction: str, gold: str, expected: float) -> None:
    assert score(prediction, [gold], "relaxed-accuracy") == expected


OPEN_METRICS = ("exact-match", "anls", "relaxed-accuracy", "f1", "vqa-accuracy")
AROUND = (
    "{}", "**{}**", "*{}*", "__{}__", "`{}`", "${}$", "$$ {} $$", r"\({}\)", r"\boxed{{{}}}", r"\text{{{}}}",
    r"$\boxed{{\text{{{}}}}}$", r"\boxed{{\textbf{{\text{{{}}}}}}}", r"So I count: $\boxed{{{}}}$.",
    r"\boxed{{{0}}} and again \boxed{{{0}}}", "<answer>{}</answer>", "<answer> **{}** </answer>", "<final>{}</final>",
    "<think>maybe 17</think>{}", "<think>\\boxed{{17}}</think>\n\n**{}**", "<think>17</think><answer>{}</answer>",
    "{}<|im_end|>",
    "<|channel|>analysis<|message|>17<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>",
)  # fmt: skip


@pytest.mark.parametrize("metric", OPEN_METRICS)
@pytest.mark.parametrize("gold", ["42", "12.90", "network", "New York", "-5", "x2"])
def test_what_stands_around_an_open_answer_does_not_count(metric: str, gold: str) -> None:
    found = {around: score(around.format(gold), [gold], metric) for around in AROUND}
    assert {around: value for around, value in found.items() if value != 1} == {}


@pytest.mark.parametrize("metric", OPEN_METRICS)
@pytest.mark.parametrize(
    "reply", ["<think>42", "<think>It is 42.</think>", "<answer>41</answer><answer>42</answer>", "<answer></answer>"]
)
def test_a_reply_without_one_answer_is_unread(metric: str, reply: str) -> None:
    assert judge(reply, Answer(("42",), metric)) == Judgement(0.0, parsed=False)


@pytest.mark.parametrize("metric", OPEN_METRICS)
@pytest.mark.parametrize(
    "around", [r"\boxed{{{}}} or \boxed{{41}}", "**{}** or **41**", "<think>{}</think>41", "{} $5 or $"]
)
def test_an_answer_beside_another_is_not_taken_out(metric: str, around: str) -> None:
    assert score(around.format("network"), ["network"], metric) < 1


@pytest.mark.parametrize(
    ("reply", "gold", "metric"),
    [
        (r"\boxed{20\%}", "20%", "exact-match"),
        (r"\boxed{\$5}", "$5", "exact-match"),
        (r"\boxed{5\,\text{cm}}", "5 cm", "exact-match"),
        ("$5", "$5", "exact-match"),
        ("snake_case", "snake_case", "exact-match"),
        ("* 5", "* 5", "exact-match"),
        ("\u22125", "-5", "relaxed-accuracy"),
        ("$\u22125$", "-5", "relaxed-accuracy"),
        (r"\$1000", "1000", "relaxed-accuracy"),
        (r"\boxed{\$1,000}", "1000", "relaxed-accuracy"),
        (r"\boxed{20\%}", "0.2", "relaxed-accuracy"),
    ],
)
def test_latex_of_open_answers_is_read(reply: str, gold: str, metric: str) -> None:
    assert score(reply, [gold], metric) == 1


@cache
def lm_eval_tasks(task: str, file: str) -> Any:
    """What lm-eval scores a task with, read from its file: importing its package takes seconds."""
    package = importlib.util.find_spec("lm_eval")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "tasks" / task / file
    spec = importlib.util.spec_from_file_location(f"lm_eval_{task}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NUMBERS = st.floats(-2000, 2000).map(lambda number: f"{number:.2f}") | st.integers(-9999, 99999).map("{:,}".format)
VALUES = st.tuples(st.sampled_from(["", "$"]), NUMBERS, st.sampled_from(["", "%", ".", "!"])).map("".join)
WORDS = st.sampled_from(["Yes", "no", "light blue", "United States", "1990s", "Q3"])


@given(prediction=VALUES | WORDS, targets=st.lists(VALUES | WORDS, min_size=1, max_size=3), near=st.floats(0.9, 1.1))
def test_relaxed_accuracy_is_that_of_lm_eval(prediction: str, targets: list[str], near: float) -> None:
    lm_eval = lm_eval_tasks("chartqa", "utils.py").RelaxedCorrectness()
    golds = [*targets, "100"]
    for reply in (prediction, f"{prediction}.", f"{near * 100:.3f}", f"{near * 100:.3f}%"):
        assert score(reply, golds, "relaxed-accuracy") == lm_eval.score(reply, golds)


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("The cat!", "a cat", 1),
        ("black cat", "the cat", 2 / 3),
        ("cat cat cat", "cat", 1 / 2),
        ("dog", "cat", 0),
        ("", "the", 1),
        ("", "cat", 0),
    ],
)
def test_f1(prediction: str, gold: str, expected: float) -> None:
    assert score(prediction, [gold], "f1") == pytest.approx(expected)


SPEECH = st.lists(st.sampled_from(["the", "a", "An", "cat", "Cat's", "dog,", "-", "theatre", "3.5"]), max_size=6)


@given(prediction=SPEECH.map(" ".join), gold=SPEECH.map(" ".join))
def test_f1_is_that_of_lm_eval(prediction: str, gold: str) -> None:
    qasper = lm_eval_tasks("qasper", "metrics.py")
    assume(qasper.normalize_answer(prediction) or qasper.normalize_answer(gold))  # SQuAD 1.1 had no empty answers
    assert score(prediction, [gold], "f1") == pytest.approx(qasper.f1_abstractive([prediction], [gold]))


@pytest.mark.parametrize(
    ("prediction", "said", "expected"),
    [
        ("red", ["red"] * 10, 1),
        ("red", ["red"] * 4 + ["blue"] * 6, 1),
        ("red", ["red"] * 3 + ["blue"] * 7, 0.9),
        ("red", ["red"] * 2 + ["blue"] * 8, 0.6),
        ("red", ["red"] + ["blue"] * 9, 0.3),
        ("green", ["red"] * 10, 0),
        ("The Red.", ["red"] * 10, 1),
        ("two", ["2"] * 10, 1),
        ("dont know", ["don't know"] * 10, 1),
        ("red", ["red"], 1),
        ("red", ["red", "red"], 1),
        ("red", ["red", "blue"], 1 / 2),
    ],
)
def test_vqa_accuracy(prediction: str, said: list[str], expected: float) -> None:
    assert score(prediction, said, "vqa-accuracy") == pytest.approx(expected)


@given(said=st.lists(st.sampled_from("abcd"), min_size=10, max_size=10), reply=st.sampled_from("abcd"))
def test_vqa_accuracy_counts_people(said: list[str], reply: str) -> None:
    """For ten people, leaving one out: 0, 0.3, 0.6, 0.9 and 1 for 0 to 4 who say the same."""
    people = [f"{letter}{letter}" for letter in said]
    expected = (0, 0.3, 0.6, 0.9, 1)[min(4, said.count(reply))]
    assert score(reply * 2, people, "vqa-accuracy") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog, the  Cat!", "dog cat"),
        ("red/blue", "red blue"),
        ("red /blue", "red blue"),
        ("1,000-2,000", "10002000"),
        ("well-known", "well known"),
        ("5.50", "5.50"),
        ("U.S.", "us"),
        ("None", "0"),
        ("whats that", "what's that"),
        ("couldntve couldnt've", "couldntve couldn't've"),
        ("somebody'd", "somebodyd"),
        ("thethe", "thethe"),
    ],
)
def test_answers_are_normalised_as_officially(text: str, expected: str) -> None:
    assert normalised(text) == expected


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        (" (b).\n", "B"),
        ("**B**", "B"),
        ("(B) the cat", "B"),
        ("B. the cat", "B"),
        ("B: a guess", "B"),
        ("B the cat", "B"),
        ("B, because it purrs", "B"),
        ("B\nIt purrs.", "B"),
        ("B is correct.", "B"),
        ("B is wrong.", None),
        ("A is not right", None),
        ("Option B", "B"),
        ("Answer: B", "B"),
        ("Answer:\n\nB", "B"),
        ("The answer is (B) the cat.", "B"),
        ("the correct option is B.", "B"),
        (r"so \boxed{B}", "B"),
        ("(A) purrs, but the best answer is: (C)", "C"),
        ("The answer is B. No, the answer is C", "C"),
        ("It shows (B).", "B"),
        ("The Cat.", "B"),
        ("The answer is the cat.", "B"),
        ("A bird", "C"),
        ("The answer is A bird", "C"),
        ("A", "A"),
        ("E", None),
        ("", None),
        ("Birds", None),
        ("A cat on a mat", None),
        ("The answer is A cat", None),
        ("The answer is not B", None),
        ("It is not clear.", None),
        ("(A) or (B)?", None),
        ("A, B", None),
        ("B or C", None),
        ("The answer is A or B", None),
        ("Maybe (A) or (B)?", None),
        ("e.g. a thing", None),
    ],
)
def test_the_letter_is_read_where_it_is_the_answer(reply: str, letter: str | None) -> None:
    assert read_letter(reply, ANIMALS) == letter
    expected = Judgement(float(letter == "B"), parsed=letter is not None)
    assert judge(reply, Answer(("B",), "option-letter", ANIMALS)) == expected


TEMPLATES = ("{}", "({})", "{}.", "({}) {}", "{}. {}", "Answer: {}", "The answer is ({}) {}.", "I see it: ({}).")


@given(place=st.integers(0, 25), template=st.sampled_from(TEMPLATES), gold=st.sampled_from(TEMPLATES))
def test_the_right_letter_is_right_however_it_is_said(place: int, template: str, gold: str) -> None:
    letter, choices = ascii_uppercase[place], [f"thing {number}" for number in range(26)]
    said, accepted = (form.format(letter, choices[place]) for form in (template, gold))
    assert score(said, [accepted], "option-letter", choices) == 1
    assert score(said, ["A" if letter != "A" else "B"], "option-letter", choices) == 0
    assert score(said, [choices[place]], "option-letter", choices) == 1
    assert score(choices[place], [letter], "option-letter", choices) == 1


@pytest.mark.parametrize("choice", ["$5", "snake_case", "2 * 3", "`code`", "y"])
def test_options_that_look_like_letters_or_emphasis_are_read(choice: str) -> None:
    assert read_letter(choice, ("other", choice)) == "B"
    assert read_letter(f"The answer is {choice}.", ("other", choice)) == "B"


@pytest.mark.parametrize(("gold", "expected"), [("dog", 1), ("A", 1), ("the cat", 0)])
def test_mmmu_takes_the_text_of_an_option_for_its_letter(gold: str, expected: float) -> None:
    assert score("A", [gold], "mmmu", ("dog", "the cat")) == expected


def test_options_with_the_same_text_are_told_apart_by_letter_alone() -> None:
    assert read_letter("yes", ("yes", "no", "Yes.")) is None
    assert read_letter("C", ("yes", "no", "Yes.")) == "C"
