"""Letters of options: read where a reply names one, and never a wrong one where it is in doubt."""

from __future__ import annotations

import random
from string import ascii_uppercase
from time import perf_counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workloads.records import Answer
from workloads.scoring import judge
from workloads.scoring.option_letter import read_letter

SCENES = ("A man walks in.", "A woman sits down.", "A girl on a bench.", "I cannot tell.")
ANIMALS = ("the dog", "the cat", "a bird", "two")
THINGS = tuple(f"thing {number}" for number in range(10))

NUMBERS = ("3", "3.5", "35", "I only")

REPLIES: dict[tuple[tuple[str, ...], str | None], tuple[str, ...]] = {
    (SCENES, "C"): (
        "C. A girl on a bench.",
        "C) A girl on a bench.",
        "C: A girl on a bench.",
        "Answer: C. A girl on a bench.",
        "The answer is C. A girl on a bench.",
        "(C) A girl on a bench.",
        "**C. A girl on a bench.**",
        "C\nA girl on a bench.",
        "A girl on a bench.",
        r"\boxed{A girl on a bench.}",
        r"\boxed{\text{C. A girl on a bench.}}",
        "<answer>C. A girl on a bench.</answer>",
        "C A girl on a bench",
        "Option C: A girl on a bench.",
        "C. A girl on a bench. I can see her.",
    ),
    (SCENES, "D"): (
        "D. I cannot tell.",
        "I cannot tell.",
        "Answer: D. I cannot tell.",
    ),
    (SCENES, "A"): (
        "A man walks in.",
        "A",
    ),
    (SCENES, None): (
        "A girl sits on a bench.",
        "A woman, I think.",
        "I think it is hard to say.",
    ),
    (ANIMALS, "B"): (
        r"\boxed{\text{B}}",
        r"So the result is $\boxed{\text{B}}$.",
        r"\boxed{\mathrm{B}}",
        r"\boxed{the cat}",
        "The answer is B because I see whiskers.",
        "B, I think.",
        "The answer is B. Note that A is a common distractor.",
        r"$\mathbf{B}$",
        r"\textbf{B}",
        r"\(\boxed{\textbf{(B)}}\)",
        r"\boxed{B. the cat}",
        r"\[\boxed{\mathrm{B}}\]",
        r"\boxed{\text{the cat}}",
        r"$\text{B}$",
        r"The answer is $\text{B}$.",
        r"\boxed{\text{Option B}}",
        r"\boxed{\text{(B) the cat}}",
        r"\boxed B",
        "<|begin_of_box|>B<|end_of_box|>",
        "<answer>B</answer>",
        "<think>A is it? The answer is A.</think>B",
        "<think>The answer is A</think>\n\n<answer>B</answer>",
        "<think>x</think> <answer> (B) </answer>",
        "<answer>The answer is B.</answer>",
        "<answer>the cat</answer>",
        "<Answer>B",
        "<think>hm</think>The final answer is B.",
        "**B**",
        "__B__",
        "**Answer: B**",
        "**Answer:** B",
        "**Final Answer:** **B**",
        "### Answer\nB",
        "`B`",
        "(B)",
        "[B]",
        "{B}",
        "B)",
        "B) the cat",
        "Option B",
        "option b",
        "Choice B.",
        "Answer: B",
        "answer=B",
        "Answer - > B",
        "Answer -> B",
        "The correct answer is: (B) the cat.",
        "The correct option is (B).",
        "Final answer: B",
        "The best choice would be B.",
        "I choose B.",
        "I would go with option B.",
        "I'd pick (B).",
        "My answer is B.",
        "Therefore, the answer must be B.",
        "The answer is most likely B.",
        "The answer is therefore (B).",
        "The correct answer to the question is B.",
        "Answer:B",
        "ANSWER: B",
        "The answer is 'B'.",
        'The answer is "B".',
        '{"answer": "B"}',
        '{"answer": "B", "reason": "A dog is not it"}',
        "Let me see. There is a dog? No. It has whiskers.\n\nB",
        "It purrs.\n**B. the cat**",
        "I see whiskers.\nSo it must be\n(B)",
        "A dog would bark. This one purrs.\n\nAnswer: B",
        "B is correct.",
        "Option B is the correct answer.",
        "(B) is right.",
        "B is the right option.",
        "The answer is B, not A.",
        "The answer is B rather than C.",
        "B, not A.",
        "B because it purrs",
        "B - the cat",
        "B \u2013 it purrs",
        "It is option B.",
        "This matches option B.",
        "It shows (B).",
        "The answer is the cat.",
        "the cat",
        "The Cat!",
        'The answer is "the cat".',
        "\uff22",
        "\uff08B\uff09",
        "Answer\uff1aB",
        "<b>B</b>",
        "~~A~~ B",
        "The answer is B.\n\nA is wrong, C is wrong.",
        "Option A is wrong. Option C is wrong. The answer is B.",
        "Not A. The answer is B.",
        "B.",
        "B:",
        "B,",
        "B;",
        "- B",
        "> B",
        "B</s>",
        "B<|im_end|>",
        "Let's go through them:\nA. the dog: no.\nB. the cat: yes.\nC. a bird: no.\nThe answer is B.",
        "The answer is A. Wait, no. The answer is B.",
        "The answer is not A. The answer is B.",
        "The correct letter is B",
        "B. The cat is on a mat.",
        "Answer: B\n\nExplanation: the answer is not A since it purrs.",
        "The answer is b.",
        "The correct answer is B. The answer choice A describes a dog.",
        "The answer is B as it purrs.",
        "Based on the picture, the answer is B.",
        "The picture does not show a dog, so the answer is B.",
        "Hence, B.",
        r"Final answer: $\boxed{\text{(B)}}$",
        r"\boxed{\mathbf{B}}.",
        r"\boxed{ B }",
        r"\boxed{{B}}",
        r"\boxed{\text{B: the cat}}",
        r"The answer is \text{B}.",
        r"**\boxed{B}**",
        r"\fbox{B}",
        r"Let's think. A dog barks; a cat purrs. I hear purring. The final answer is: $\boxed{B}$",
        "I believe the answer is B.",
        "I think the answer is B.",
        "Answer: (b)",
        "B. C is wrong.",
        "Answer: B (not A)",
        "The answer is (B), since (A) does not purr.",
        "The answer is B: the cat",
        "the cat (B)",
        "The answer is B. Explanation: C and D are birds.",
        "Answer\n\nB",
        "Final answer\nB.",
        "Ans: B",
        "Ans. B",
        "Option: B",
        "Selected option: B",
        "Choice: B. the cat",
        "Letter: B",
        "Response: (B)",
        "assistant: B",
        '{"choice": "B"}',
        '{"option":"B"}',
        '{"reason": "it purrs", "choice": "B"}',
        "B (the cat)",
        "B [the cat]",
        "B.the cat",
        "B=the cat",
        "The answer is B (the cat).",
        "It must be B.",
        "I'd say B.",
        "I would say it is B.",
        "I'm going with (B).",
        "It is the cat.",
        "So it must be the cat!",
        "Definitely B.",
        "The answer can only be B.",
        "\u7b54\u6848\uff1aB",
        "\u7b54\u6848\u662fB\u3002",
        "\u7b54\u6848\u5e94\u8be5\u662f (B)",
        r"\boxed{\textbf B}",
        r"\boxed{\text{the~cat}}",
        "<final>B</final>",
        "<|channel|>final<|message|>B",
        "<|channel|>analysis<|message|>The answer is A.<|end|><|channel|>final<|message|>B<|return|>",
        "B<eos>",
        "B [SEP]",
        "The answer is C. Wait, no. The answer is B.",
        "The answer is B. There is no dog, so A is out.",
        "The answer is B. Wait, is it? It is not C.",
    ),
    (ANIMALS, "D"): (
        "ANSWER IS D. A is incorrect.",
        "The answer is D. A is not right.",
    ),
    (ANIMALS, "A"): (
        "The answer is A because it barks.",
        "The answer is A. A dog barks.",
        "A. the dog",
        "A is correct.",
        "A. A dog.",
        "A, I think.",
        "Answer: a.",
        "A.",
        "A)",
        "A -",
        "a) the dog",
    ),
    (ANIMALS, "C"): (
        "C. a bird",
        "The answer is a bird",
    ),
    (ANIMALS, None): (
        'The best guess is "I or A", I would need to look again.',
        "B. Wait, C?",
        "B. Wait, it is C.",
        "The answer is B. No, C.",
        "The answer is B. Actually, I think C.",
        "The answer is B.\nThe answer is C.\nBoth.",
        "The answer is B. Both are correct.",
        "B\nAll of the above.",
        "Option: A\nOption: B",
        "Option: A is wrong.",
        "Choice: none",
        '{"choice": "A", "option": "B"}',
        "Ans: A or B",
        "It must be A or B.",
        "It must be A dog.",
        "I'd say A or B.",
        "I would say A dog is there.",
        "I would say that B is wrong.",
        "It is not the cat.",
        "It is the cat or the dog.",
        "It is a",
        "B (the dog)",
        "B [a bird]",
        "B.the dog",
        "B=a bird",
        "\u7b54\u6848\u4e0d\u662fB",
        "\u5982\u679c\u7b54\u6848\u662fB",
        "\u7b54\u6848\u662fA\u6216B",
        "\u7b54\u6848\u662fB\u5417\uff1f",
        "<|channel|>analysis<|message|>The answer is B",
        "<final>A</final><final>B</final>",
        "not B",
        "Not (B).",
        "It is not B.",
        "The answer is not B.",
        "The answer isn't B.",
        "I don't think the answer is B.",
        "It is not true that the answer is B.",
        "I doubt that the answer is B.",
        "A is incorrect.",
        "A is wrong.",
        "(A) is wrong.",
        "Option A is not right.",
        "rather than C",
        "I would take something rather than C.",
        "instead of (C).",
        "neither A nor B",
        "Neither (A) nor (B).",
        "The answer is either A or B.",
        "A or B",
        "A/B",
        "A and B",
        "B or maybe C",
        "The answer is B or C.",
        "Is the answer B?",
        "The answer is B?",
        "Maybe (B)?",
        "If the answer is B, then it would purr.",
        "The wrong answer is B.",
        "The incorrect option is B.",
        "One possible answer is B.",
        "Some would say the answer is B.",
        "Both A and B are correct.",
        "B is correct and C is correct.",
        "The answer is B. C is also correct.",
        "The answer is B. Actually, C is correct.",
        r"\boxed{A} or \boxed{B}",
        r"\boxed{A, B}",
        r"The answer is not \boxed{B}",
        "<answer>A</answer><answer>B</answer>",
        "<think>The answer is B",
        "<think>I would say B</think>",
        "I see a dog.",
        "A dog is here.",
        "I",
        "I am not sure.",
        "A cat",
        "A bird or a cat",
        "The answer is A cat.",
        "A is a dog, B is a cat, C is a bird.",
        "A. the dog\nB. the cat\nC. a bird\nD. two",
        "(A) the dog (B) the cat (C) a bird (D) two",
        "A) dog\nB) cat",
        "B. the dog",
        "The answer is B. the dog",
        "(B) a bird",
        "A, however, is wrong.",
        "The picture shows a dog (A) and a cat (B).",
        "B\n\nQuestion: what? Answer: C",
        "E",
        "Z",
        "Answer: X",
        "The answer is in the picture.",
        "I, too, see it.",
        "A. I. stands for artificial intelligence.",
        "e.g. the dog",
        "U.S. A. F.",
        "The answer could be B.",
        "A or B is correct.",
        "I doubt B is correct.",
        "The answer is A is wrong.",
        "None of them: not A, B or C.",
        "Don't choose B.",
        "I would not choose B.",
        "The answer is B. Sorry, the answer is not B.",
        "The answer is B. No, B is wrong.",
        "Vitamin A",
        "Plan B failed.",
        "Group A is larger.",
        "it shows the dog (B).",
        "Figure (A) is a dog.",
        "Answer: A and B",
        "A, B",
        "A\nB",
        "Answer: A\nB",
        "Everything except B.",
        "B is unlikely.",
        "B can be ruled out.",
        "It could be B or C, hard to say.",
        "The answer would be B if it purred.",
        "The answer is a",
        "B?",
        "The image shows the cat.",
        "Both the dog and the cat.",
        "The answer is the dog or the cat.",
        "The answer is not the dog.",
        "not the dog",
        r"\boxed{the dog or the cat}",
        r"\boxed{\text{not B}}",
        "<answer>not B</answer>",
        "<answer>A or B</answer>",
        "<answer></answer>",
        "Sorry, I can't help with that. A",
        "I think B.",
        "B or not B",
        "The answer is B, C is a distractor.",
        "B. C is possible too.",
        "B. It could also be C.",
        "Answer: B: the dog",
        "A: the cat",
        "the dog (B)",
        "The cat, B.",
        "It's B.",
        "As a vision model, A appears wrong and C is unlikely, D is not it.",
        "(A), (B) and (C) are wrong.",
        "All except B",
        "Not A, not C, not D.",
        "Answer: none of A, B, C",
        "The answer is none of them. A is closest.",
        "A man. B",
    ),
    (THINGS, "J"): (
        "J",
        "The answer is J.",
        "(J)",
    ),
    (THINGS, "I"): (
        "I",
        "(I)",
        "The answer is I.",
        "I. thing 8",
        "Answer: I",
        r"\boxed{I}",
    ),
    (THINGS, None): (
        "I think so.",
        "I, for one, cannot see it.",
        "I or A",
        "I am sure it is G.",
        "K",
    ),
    (THINGS, "B"): (
        "B, I think.",
        "B. I think so.",
    ),
    (THINGS, "H"): ("I choose H.",),
    (("Vitamin C", "Vitamin A", "Vitamin B", "Vitamin D"), "B"): ("Vitamin A",),
    (("Vitamin C", "Vitamin A", "Vitamin B", "Vitamin D"), "A"): ("The answer is Vitamin C.",),
    (("I only", "II only", "A is correct", "Both A and B"), "C"): ("A is correct",),
    (("I only", "II only", "A is correct", "Both A and B"), "D"): ("D. Both A and B",),
    (("I only", "II only", "x", "Both A and B"), "D"): (
        "The answer is D. Both A and B.",
        "Both A and B",
    ),
    (("I only", "II only", "x", "Both A and B"), "A"): ("I only",),
    (("yes", "no"), None): (
        "Yes. No.",
        "Yes, it is.",
    ),
    (("yes", "no"), "B"): ("No.",),
    (("B", "A"), "A"): ("A",),
    ((), "B"): (
        "B",
        "The answer is B.",
    ),
    ((), None): (
        "I see it.",
        "A cat.",
    ),
    (NUMBERS, "A"): ("3", "3.", "The answer is 3."),
    (NUMBERS, "B"): ("3.5", "The answer is 3.5", r"\boxed{3.5}", "B. 3.5", "The answer is B (3.5)."),
    (NUMBERS, "C"): ("35.", "C. 35"),
    (NUMBERS, "D"): ("I only", "D. I only", "The answer is D (I only)."),
    (("1", "2", "3", "4"), "B"): ("(2)", "2)", "[2].", "The answer is (2).", r"\boxed{(2)}"),
    (("1", "2", "3", "4"), None): ("(5)", "(1) or (2)", "2(3)", "(-2)"),
    (("10%", "20%", "30%"), "B"): (r"\boxed{20\%}", r"$20\%$", r"The answer is 20\%."),
    (("10%", "20%", "30%"), None): (r"\boxed{20}", r"$2\%$"),
    (("$5", "$10"), "B"): (r"\boxed{\$10}", r"\$10", "$10"),
    (("x^2", "x_2", "2x", "2*3", "2 * 4", "2**5"), None): ("x2", "x", "23", "2 4", "25", "x*2", "_x2_"),
    (("x^2", "x_2", "2x", "2*3", "2 * 4", "2**5"), "B"): ("x_2", "$x_2$", "**x_2**", "`x_2`", "__x_2__"),
    (("x^2", "x_2", "2x", "2*3", "2 * 4", "2**5"), "D"): ("2*3", "*2*3*", "**2*3**"),
    (("\u732b", "\u72d7"), "A"): ("\u732b\u3002", "\u7b54\u6848\uff1aA", "\u7b54\u6848\u662f\u732b\u3002"),
    (("both", "neither"), "B"): ("The answer is B. Neither.", "Neither.", "It is neither."),
    (NUMBERS, None): (
        "-3",
        "- -3",
        "3.5 m",
        "The answer is 3.5 m",
        "A. 35",
        "The answer is B (35).",
        "C++",
        "A-",
        "3 or 35",
    ),
}


@pytest.mark.parametrize(("choices", "letter"), REPLIES)
def test_a_reply_is_read_as_it_is_meant_or_not_at_all(choices: tuple[str, ...], letter: str | None) -> None:
    found = {reply: read_letter(reply, choices) for reply in REPLIES[choices, letter]}
    assert {reply: read for reply, read in found.items() if read != letter} == {}


SAYING = ("{}", "({})", "**{}**", r"\boxed{{\text{{{}}}}}", "<answer>{}</answer>", "Answer: {}.", "The answer is {}.")
OF_LABELS = (
    "Option: {}",
    "Choice: {}",
    "It must be {}.",
    "I'd say {}.",
    "Ans: {}",
    '{{"choice": "{}"}}',
    "Definitely {}.",
)
TAKING_BACK = (
    " Wait, {}?",
    " Wait, it is {}.",
    " Actually, ({}) is right.",
    " No, {}.",
    "\nSorry, option {}.",
    "\nBoth.",
)
DENYING = (
    "not {0}",
    "It is not {0}.",
    "{0} is incorrect.",
    "Option {0} is wrong.",
    "({0}) cannot be right.",
    "I doubt that the answer is {0}.",
    "The answer isn't {0}.",
    "The answer is not ({0}).",
    "anything rather than {0}",
    "If the answer is {0}, it would bark.",
    "Is the answer {0}?",
    "Neither {0} nor Z.",
    "Some say the answer is {0}.",
)
EXPLAINING = ("", " {0} is incorrect.", " Note that {0} is a distractor.", " I see whiskers.", " A cat has whiskers.")
PLACES = st.integers(0, 9)


@given(place=PLACES, saying=st.sampled_from(SAYING), other=PLACES, explaining=st.sampled_from(EXPLAINING))
def test_a_letter_that_is_said_is_read_whatever_is_explained(
    place: int, saying: str, other: int, explaining: str
) -> None:
    letter, wrong = ascii_uppercase[place], ascii_uppercase[other if other != place else (place + 1) % 10]
    reply = f"{saying.format(letter)}{explaining.format(wrong)}"
    stands_apart = saying.startswith(("The answer", "Answer", "<", "\\")) or not explaining
    assert read_letter(reply, THINGS) in ({letter} if stands_apart else {letter, None})


@given(place=PLACES, saying=st.sampled_from(SAYING + OF_LABELS), other=PLACES, back=st.sampled_from(TAKING_BACK))
def test_a_letter_that_is_taken_back_is_not_read(place: int, saying: str, other: int, back: str) -> None:
    letter, new = ascii_uppercase[place], ascii_uppercase[other if other != place else (place + 1) % 10]
    said = saying.format(letter)
    assume("<answer>" not in saying)  # what follows it is left out
    assert read_letter(said, THINGS) == letter
    assert read_letter(f"{said}{back.format(new)}", THINGS) in (None, new)


@given(place=PLACES, denying=st.sampled_from(DENYING))
def test_a_letter_that_is_denied_is_not_read(place: int, denying: str) -> None:
    assert read_letter(denying.format(ascii_uppercase[place]), THINGS) is None


WORDS = st.sampled_from(
    ["I", "A", "a", "the", "see", "dog", "cat", "is", "on", "it", "there", "two", "and", "tell", "sit"]
)


@given(words=st.lists(WORDS, min_size=3, max_size=8), end=st.sampled_from(["", ".", "!", "?"]))
def test_articles_and_pronouns_are_no_letters(words: list[str], end: str) -> None:
    reply = " ".join(words) + end
    if words[0] == "A" and words[1] in ("is", "and"):  # A as a letter, about which nothing is said
        reply = f"Well {reply}"
    assert read_letter(reply, SCENES) is None
    assert read_letter(reply, THINGS) is None


@given(choices=st.permutations(["A man", "I see a cat", "Both A and B", "not C", "B. no", "E", "3.5 m", "-3"]))
def test_the_text_of_an_option_is_that_option_whatever_letters_are_in_it(choices: list[str]) -> None:
    for letter, choice in zip(ascii_uppercase, choices, strict=False):
        if choice != "E":  # which is a letter, too
            assert read_letter(choice, choices) == letter
            assert read_letter(f"{letter}. {choice}", choices) == letter
            assert read_letter(rf"So it is \boxed{{{choice}}}", choices) == letter


@given(reply=st.text(alphabet="ABCI isnotr(.)\n:,$\\{}*<>/", max_size=40))
def test_whatever_is_read_is_an_option(reply: str) -> None:
    assert read_letter(reply, ANIMALS[:2]) in (None, "A", "B")


@pytest.mark.parametrize("loop", ["the answer is ", "B. ", "not A, ", r"\boxed{", "A, ", "<think>", "answer to a b "])
def test_a_reply_that_repeats_itself_is_read_quickly(loop: str) -> None:
    started = perf_counter()
    read_letter(loop * 4000, ANIMALS)
    assert perf_counter() - started < 5


def test_mmmu_has_as_many_letters_as_options() -> None:
    for place, letter in enumerate(ascii_uppercase):
        choices = tuple(f"thing {number}" for number in range(max(place + 1, 2)))
        right = judge(f"The answer is ({letter})", Answer((letter,), "mmmu", choices))
        assert (right.score, right.parsed) == (1, True)


PRONOUNS = ("{} think so.", "{} cannot tell.", "{} am not sure", "{} don't know", "The answer is {} think so")
ARTICLES = ("{} thing is there.", "Answer: {} thing", "{} dog and {} cat", "It shows {} man.")
LETTERS = (
    "{}",
    "({})",
    "Answer: {}",
    "The answer is {}.",
    "So it is {} .",
    "{} because it fits",
    "{} or so, I think ({})",
)


@pytest.mark.parametrize(("letter", "words"), [("I", PRONOUNS), ("A", ARTICLES)])
def test_mmmu_takes_no_pronoun_and_no_article_for_a_letter(letter: str, words: tuple[str, ...]) -> None:
    key = Answer((letter,), "mmmu", THINGS)
    unread = [judge(word.format(letter, letter), key) for word in words]
    assert [(judged.score, judged.parsed) for judged in unread] == [(0, False)] * len(words)
    said = [judge(word.format(letter, letter), key) for word in LETTERS]
    assert [(judged.score, judged.parsed) for judged in said] == [(1, True)] * len(LETTERS)


@given(
    reply=st.lists(st.sampled_from(["(A)", "B", "C", "I", "(I)", "red", "thing 3", "is", "the", ".", "J"]), max_size=9),
    options=st.integers(2, 9),
    gold=st.integers(0, 8),
)
def test_mmmu_scores_as_officially_up_to_nine_options(reply: list[str], options: int, gold: int) -> None:
    from lm_eval.tasks.mmmu.utils import process_results

    choices, letter = THINGS[:options], ascii_uppercase[gold % options]
    doc = {"question_type": "multiple-choice", "options": repr(list(choices)), "answer": letter}
    state = random.getstate()
    random.seed("seed")
    official = process_results(doc, [" ".join(reply)])["acc"]
    random.setstate(state)
    assert judge(" ".join(reply), Answer((letter,), "mmmu", choices, seed="seed")).official == official
