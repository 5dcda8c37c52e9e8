"""How media come back, over cases made of nothing but an id and bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.base import StreamOptions
from workloads.datasets.recurring_stream import BLOCK, MEANING, Case, recurring
from workloads.records import Answer, Conversation, Media, Popularity, Recur, Turn

KINDS = st.sampled_from(get_args(Recur))
AGAIN = st.sampled_from(["prefix", "questions", "shuffle"])
RATES = st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0])
Parts = dict[str, Callable[[], Iterator[Case]]]


def case(name: str, media: Sequence[str], turns: int = 1, group: str | None = None) -> Case:
    """A question about media that are called like their bytes."""

    def load() -> tuple[Turn, ...]:
        shown = tuple(Media("image", medium.encode(), medium) for medium in media)
        later: list[tuple[str | Media, ...]] = [(f"And {index}?",) for index in range(1, turns)]
        contents: list[tuple[str | Media, ...]] = [(*shown, f"What is {name}?"), *later]
        return tuple(
            Turn(f"{name}.{index}" if turns > 1 else name, content, Answer((f"it is {name}",), "exact-match"), "what")
            for index, content in enumerate(contents)
        )

    return Case(name, load, group)


def parts(counts: Sequence[int], questions: int = 1) -> Parts:
    """Parts with so many pictures each, and so many questions about every picture, side by side."""

    def cases(part: int, count: int) -> Iterator[Case]:
        for number in range(count):
            for question in range(questions):
                yield case(f"{part}-{number}-{question}", [f"picture {part}-{number}"])

    return {f"part {part}": partial(cases, part, count) for part, count in enumerate(counts)}


def ask(
    source: Parts, recur: Recur, samples: int, rate: float = 0.5, popularity: Popularity = "even", seed: int = 0
) -> list[Conversation]:
    return list(recurring("data", source, 64, recur, StreamOptions(samples, seed, rate, popularity=popularity)))


def own(turn: Turn) -> Media:
    """The medium that a turn is about: the last of them."""
    return turn.media[-1]


def repeats(conversations: Sequence[Conversation]) -> int:
    """Requests about a medium that was asked about before."""
    seen: set[Media] = set()
    count = 0
    for conversation in conversations:
        medium = own(conversation.turns[0])
        count += medium in seen
        seen.add(medium)
    return count


@given(recur=KINDS, rate=RATES, counts=st.lists(st.integers(0, 7), max_size=3), seed=st.integers(0, 9), data=st.data())
def test_a_shorter_stream_is_a_prefix(recur: Recur, rate: float, counts: list[int], seed: int, data: Any) -> None:
    long = data.draw(st.integers(0, 30))
    short = data.draw(st.integers(0, long))
    popularity = data.draw(st.sampled_from(["even", "zipf"]))
    streams = [ask(parts(counts, 2), recur, samples, rate, popularity, seed) for samples in (short, long)]
    assert streams[1][: len(streams[0])] == streams[0]


@given(recur=AGAIN, counts=st.lists(st.integers(1, 9), min_size=1, max_size=3), samples=st.integers(0, 60))
def test_every_request_is_new_and_every_answer_as_true_as_before(recur: Recur, counts: list[int], samples: int) -> None:
    conversations = ask(parts(counts), recur, samples)
    turns = [turn for conversation in conversations for turn in conversation.turns]
    assert len(turns) == samples
    assert len({turn.id for turn in turns}) == len({conversation.id for conversation in conversations}) == samples
    shown: set[Media] = set()
    beginnings: set[object] = set()
    for turn in turns:
        question = str(turn.content[-1])
        assert turn.answer.gold == f"it is {question.removeprefix('What is ').removesuffix('?')}"
        assert turn.answer.seed == turn.id
        if own(turn) in shown:
            assert isinstance(turn.content[0], str)
            assert turn.content[0] not in beginnings
            beginnings.add(turn.content[0])
        else:
            assert turn.content == (own(turn), question)
        shown.update(turn.media)


@given(recur=AGAIN, rate=st.sampled_from([0.2, 0.5, 0.75, 0.8]), blocks=st.integers(1, 4), seed=st.integers(0, 99))
def test_media_come_back_as_often_as_asked(recur: Recur, rate: float, blocks: int, seed: int) -> None:
    length = round(BLOCK / (1 - rate))
    conversations = ask(parts([40]), recur, blocks * length, rate, seed=seed)
    assert repeats(conversations) == pytest.approx(rate * len(conversations), abs=1)


def test_at_one_half_every_picture_is_asked_about_twice_and_others_between() -> None:
    conversations = ask(parts([3, 5]), "prefix", 16)
    asked = [own(conversation.turns[0]) for conversation in conversations]
    assert set(Counter(asked).values()) == {2}
    for start in range(0, 16, 2 * BLOCK):
        first, second = asked[start : start + BLOCK], asked[start + BLOCK : start + 2 * BLOCK]
        assert set(first) == set(second)
        assert len(set(first)) == BLOCK
    again = [conversation.id for conversation in conversations if conversation.id.endswith("-again-1")]
    assert len(again) == repeats(conversations) == 8


def test_without_recurrence_the_data_are_asked_as_they_are_and_end() -> None:
    for conversations in (ask(parts([3, 2]), "none", 99), ask(parts([3, 2]), "prefix", 99, rate=0)):
        assert len(conversations) == 5
        assert all(conversation.turns[0].content[0] == own(conversation.turns[0]) for conversation in conversations)
    assert ask({}, "none", 3) == ask(parts([0]), "shuffle", 3) == []


def test_a_data_set_that_was_gone_through_begins_anew() -> None:
    conversations = ask(parts([3]), "prefix", 12)
    assert Counter(own(conversation.turns[0]).name for conversation in conversations) == {
        "picture 0-0": 4,
        "picture 0-1": 4,
        "picture 0-2": 4,
    }
    assert sum(conversation.id.endswith("-again-3") for conversation in conversations) == 3


def test_all_questions_about_a_picture_follow_before_one_comes_twice() -> None:
    conversations = ask(parts([BLOCK], questions=3), "questions", 3 * BLOCK)
    assert len({conversation.id for conversation in conversations}) == 3 * BLOCK
    assert not any("again" in conversation.id for conversation in conversations)
    first = [own(conversation.turns[0]) for conversation in conversations[:BLOCK]]
    assert len(set(first)) == BLOCK
    assert len({conversation.cluster_id for conversation in conversations}) == BLOCK


def test_questions_are_found_by_their_group_or_else_by_their_media() -> None:
    apart = [case(f"q{number}", [f"p{number % 2}"]) for number in range(6)]
    named = [case(f"q{number}", [f"p{number}"], group=str(number % 2)) for number in range(6)]
    for cases in (apart, named):
        conversations = ask({"": partial(iter, cases)}, "questions", 6)
        assert [conversation.id for conversation in conversations[:2]] == ["q0", "q1"]
        assert sorted(conversation.id for conversation in conversations) == [f"q{number}" for number in range(6)]
        assert len({conversation.cluster_id for conversation in conversations}) == 2


def test_shuffled_requests_begin_with_pictures_of_other_cases_that_were_shown() -> None:
    conversations = ask(parts([12]), "shuffle", 24)
    shown: set[Media] = set()
    before = 0
    for conversation in conversations:
        *others, medium = conversation.turns[0].media
        assert medium not in others
        assert set(others) <= shown
        before += bool(others)
        shown.add(medium)
    assert before == repeats(conversations) == 12


def test_popular_pictures_come_back_more_often() -> None:
    counts = {
        popularity: Counter(own(c.turns[0]) for c in ask(parts([90]), "prefix", 160, 0.75, popularity))
        for popularity in get_args(Popularity)
    }
    assert max(counts["even"].values()) == 4
    assert max(counts["zipf"].values()) > 12


def test_a_talk_comes_back_as_a_whole_and_is_cut_where_the_samples_end() -> None:
    source: Parts = {"": lambda: (case(f"t{number}", [f"p{number}"], turns=3) for number in range(2))}
    conversations = ask(source, "prefix", 10)
    assert [len(conversation.turns) for conversation in conversations] == [3, 3, 3, 1]
    assert conversations[2].turns[1].id.endswith(".1-again-1")
    assert conversations[2].turns[1].content == ("And 1?",)


def test_only_what_is_asked_about_is_read() -> None:
    loaded: list[str] = []

    def load(name: str) -> tuple[Turn, ...]:
        loaded.append(name)
        return case(name, ["p"]).load()

    def cases() -> Iterator[Case]:
        yield from (Case(str(number), partial(load, str(number))) for number in range(1000))

    assert len(ask({"": cases}, "prefix", 12)) == 12
    assert len(loaded) == 6 + 2


def test_parts_are_taken_in_turn() -> None:
    conversations = ask(parts([2, 9, 5]), "none", 12)
    asked = [conversation.id.split("-")[0] for conversation in conversations]
    assert all(set(asked[start : start + 3]) == {"0", "1", "2"} for start in (0, 3))
    assert Counter(asked) == {"0": 2, "1": 5, "2": 5}


def test_another_seed_asks_in_another_order() -> None:
    streams = [[c.id for c in ask(parts([9, 9]), "shuffle", 30, seed=seed)] for seed in range(4)]
    assert len({tuple(ids) for ids in streams}) == 4


def test_every_kind_says_what_it_means() -> None:
    assert set(MEANING) == set(get_args(Recur))
