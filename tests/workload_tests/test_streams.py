"""A stream is a function of its options, to the byte."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from workloads.base import StreamOptions
from workloads.errors import unknown_name
from workloads.records import Conversation, Media, Turn
from workloads.registry import AGENTS, WORKLOADS, load_workload
from workloads.scoring import METRICS, judge
from workloads.seeding import Split, stream
from workloads.synthetic.album import deal_pages
from workloads.synthetic.drawing import Grid
from workloads.synthetic.pool import RecurringPool

SEEDS = st.integers(0, 2**63)
every_workload = pytest.mark.parametrize("workload", list(WORKLOADS))
every_steered_workload = pytest.mark.parametrize("workload", [name for name in WORKLOADS if name not in AGENTS])


def _stream(
    workload: str, samples: int, seed: int = 0, reuse_rate: float = 0.8, split: Split = "bench"
) -> list[Conversation]:
    return list(load_workload(workload).conversations(StreamOptions(samples, seed, reuse_rate, split)))


def _turns(conversations: Iterable[Conversation]) -> list[tuple[str, str, str, Turn]]:
    return [(c.id, c.cluster_id, c.system, turn) for c in conversations for turn in c.turns]


def _media(conversations: Iterable[Conversation]) -> list[Media]:
    return [medium for *_, turn in _turns(conversations) for medium in turn.media]


@every_workload
@settings(max_examples=25)
@given(seed=SEEDS, shorter=st.integers(0, 5), more=st.integers(0, 3), reuse_rate=st.sampled_from([0.0, 0.5, 1.0]))
def test_a_shorter_stream_is_a_prefix(workload: str, seed: int, shorter: int, more: int, reuse_rate: float) -> None:
    short, long = (_turns(_stream(workload, samples, seed, reuse_rate)) for samples in (shorter, shorter + more))
    assert len(short) == shorter
    assert long[:shorter] == short


@every_workload
def test_another_process_makes_the_same_bytes(workload: str) -> None:
    program = (
        "import hashlib; from workloads.base import StreamOptions; from workloads.registry import load_workload\n"
        f"stream = load_workload({workload!r}).conversations(StreamOptions(5, 3))\n"
        "print(hashlib.sha256(repr(list(stream)).encode()).hexdigest())"
    )
    digests = {hashlib.sha256(repr(_stream(workload, 5, 3)).encode()).hexdigest()}
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
        )
        digests.add(run.stdout.strip())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("workload", "fingerprint"),
    [
        ("image-chat", "033c920d799618a0"),
        ("doc-qa", "f0b4785e14bc075e"),
        ("video", "665d94ccb8c6199d"),
        ("binding", "564db56efc717fb2"),
        ("multi-hop", "36a1430ccdf0a945"),
        ("two-lists", "f7d9b5e0819e3047"),
        ("quote", "31f769fe34372487"),
        ("versions", "eb6e76a8a1f37c2c"),
        ("prose", "f3375a192f6f1e3d"),
        ("page-break", "b6bdb6426680f484"),
        ("order", "b241a956b47ba264"),
        ("gui-agent", "7a9bd5644785f6ee"),
        ("gui-agent-text", "cfeb579683f21721"),
    ],
)
def test_streams_stay_what_they_were(workload: str, fingerprint: str) -> None:
    """Saved runs are only comparable while a seed means the same words and pixels (file bytes depend on zlib)."""
    digest = hashlib.sha256()
    for conversation_id, cluster_id, system, turn in _turns(_stream(workload, 12)):
        words = [part for part in turn.content if isinstance(part, str)]
        digest.update(repr((conversation_id, cluster_id, system, turn.id, words, turn.answer, turn.family)).encode())
        digest.update(turn.answer_begins.encode())
        for medium in turn.media:
            digest.update(repr((medium.kind, medium.name)).encode())
            with Image.open(io.BytesIO(medium.data)) as file:
                for frame in ImageSequence.Iterator(file):
                    digest.update(frame.convert("RGB").tobytes())
    assert digest.hexdigest()[:16] == fingerprint


@every_workload
def test_seeds_and_splits_share_no_medium(workload: str) -> None:
    seen: set[bytes] = set()
    for seed, split in ((0, "bench"), (1, "bench"), (0, "train"), (1, "train")):
        data = {medium.data for medium in _media(_stream(workload, 20, seed, split=split))}  # type: ignore[arg-type]
        assert not data & seen
        seen |= data


@given(split=st.sampled_from(["train", "bench"]), labels=st.lists(st.one_of(SEEDS, st.text(max_size=4)), max_size=3))
def test_a_random_stream_belongs_to_its_labels(split: Split, labels: list[int | str]) -> None:
    other: Split = "train" if split == "bench" else "bench"
    first, again, elsewhere = stream(split, *labels), stream(split, *labels), stream(other, *labels)
    assert first.integers(2**63) == again.integers(2**63) != elsewhere.integers(2**63)


@every_workload
def test_names_are_unique_and_stand_for_bytes(workload: str) -> None:
    conversations = _stream(workload, 60)
    ids = [turn.id for *_, turn in _turns(conversations)]
    assert len(set(ids)) == len(ids) == 60
    assert len({conversation.id for conversation in conversations}) == len(conversations)
    media = _media(conversations)
    assert len({m.name for m in media}) == len({m.data for m in media}) == len({(m.name, m.data) for m in media})


@every_steered_workload
def test_nothing_recurs_at_rate_0(workload: str) -> None:
    conversations = _stream(workload, 40, reuse_rate=0)
    clusters = [conversation.cluster_id for conversation in conversations]
    assert len(set(clusters)) == len(clusters)
    shown = [{m.data for turn in conversation.turns for m in turn.media} for conversation in conversations]
    assert sum(map(len, shown)) == len(set.union(*shown))


@every_steered_workload
def test_everything_recurs_at_rate_1(workload: str) -> None:
    conversations = _stream(workload, 40, reuse_rate=1)
    assert len(conversations) > 1
    assert len({conversation.cluster_id for conversation in conversations}) == 1


@every_steered_workload
def test_texts_before_media_differ(workload: str) -> None:
    """Equal prefixes must be as rare as among real users, or prefix caching looks better than it is."""
    openings = [conversation.turns[0].content[0] for conversation in _stream(workload, 60)]
    assert all(isinstance(opening, str) for opening in openings)
    assert max(Counter(openings).values()) <= 2


def test_a_pool_recurs_as_often_as_asked_and_by_a_zipf_law() -> None:
    rng, draws, rate, ranks = stream("bench", "pool"), 5000, 0.9, 4
    pool = RecurringPool(lambda index: index, rate)
    served, recurred = 0, 0
    found, expected = [0.0] * ranks, [0.0] * ranks
    for _ in range(draws):
        item = pool.draw(rng)
        if item == served:
            served += 1
            continue
        recurred += 1
        harmonic = sum(1 / place for place in range(1, served + 1))
        for rank in range(min(ranks, served)):
            found[rank] += item == rank
            expected[rank] += 1 / (rank + 1) / harmonic
    assert recurred / draws == pytest.approx(rate, abs=0.02)
    assert all(abs(count - mean) < 4 * mean**0.5 for count, mean in zip(found, expected, strict=True))


def _worth(counts: Iterable[int]) -> float:
    """Of how many equal clusters these are worth."""
    sizes = list(counts)
    return sum(sizes) ** 2 / sum(size**2 for size in sizes)


def test_an_even_pool_serves_items_about_alike() -> None:
    rng, counts = stream("bench", "even"), Counter[int]()
    pool = RecurringPool(lambda index: index, 0.75, "even")
    for _ in range(400):
        counts[pool.draw(rng)] += 1
    assert len(counts) == pytest.approx(100, abs=25)
    assert _worth(counts.values()) > 0.9 * len(counts)


@every_steered_workload
def test_even_popularity_makes_clusters_worth_more(workload: str) -> None:
    worth = {}
    for popularity in ("zipf", "even"):
        options = StreamOptions(90, 0, 0.67, popularity=popularity)
        conversations = load_workload(workload).conversations(options)
        worth[popularity] = _worth(Counter(conversation.cluster_id for conversation in conversations).values())
    assert worth["even"] > 1.3 * worth["zipf"]


def test_an_unknown_popularity_is_refused() -> None:
    with pytest.raises(ValueError, match="zipf or even, not odd"):
        RecurringPool(lambda index: index, 0.5, "odd")  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_outside_0_and_1_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="reuse_rate must be between 0 and 1"):
        RecurringPool(lambda index: index, rate)


def test_more_keys_than_letters_are_refused() -> None:
    with pytest.raises(ValueError, match="5 pages of 12 cards need more than the 52 keys"):
        deal_pages(stream("bench"), Grid(12, 14), pages=5)


@every_workload
def test_a_gold_answer_scores_1(workload: str) -> None:
    instance = load_workload(workload)
    assert instance.name == workload
    for *_, turn in _turns(_stream(workload, 20)):
        assert turn.answer.metric in METRICS
        if workload == "prose":
            assert not turn.answer.has_gold
            continue
        assert judge(turn.answer.gold, turn.answer).score == 1
        assert judge("never said", turn.answer).score == 0


@every_workload
def test_a_prompt_is_the_history_with_gold_answers(workload: str) -> None:
    for conversation in _stream(workload, 6):
        for index, turn in enumerate(conversation.turns):
            system, *history, last = conversation.prompt(index)
            assert (system.role, system.content) == ("system", (conversation.system,))
            if turn.answer_begins:
                assert (last.role, last.content) == ("assistant", (turn.answer_begins,))
                *history, last = history
            assert (last.role, last.content) == ("user", turn.content)
            assert [message.role for message in history] == ["user", "assistant"] * index
            golds = [(earlier.answer.gold,) for earlier in conversation.turns[:index]]
            assert [message.content for message in history[1::2]] == golds


def test_an_unknown_name_gets_a_suggestion() -> None:
    assert str(unknown_name("workload", "bindin", WORKLOADS)) == "unknown workload 'bindin': did you mean 'binding'?"
    assert str(unknown_name("workload", "x", ["b", "a"])) == "unknown workload 'x': known: a, b"


def _conversation_lengths(workload: str) -> Iterator[int]:
    yield from (len(conversation.turns) for conversation in _stream(workload, 30))


def test_image_chat_sends_a_picture_again_later() -> None:
    assert set(_conversation_lengths("image-chat")) == {3}
    conversations = _stream("image-chat", 90)
    assert all([len(turn.media) for turn in conversation.turns] == [3, 1, 0] for conversation in conversations)
    repeats = [c.turns[1].media[0] in c.turns[0].media for c in conversations]
    assert 0 < sum(repeats) < len(repeats) / 2
