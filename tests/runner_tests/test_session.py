"""One stream served through several runners: what they see, in which order, and how a broken run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runners.base import Request, Response
from runners.records import Record, Status, Timing, Warmth, record_key
from runners.session import COMPUTED_BY_ALL, SessionOptions, serve
from workloads.records import Answer, Conversation, Media, Message, Turn

ZERO = Timing(*[0.0] * 10)
PICTURES = [Media("image", bytes([index]), f"picture-{index}") for index in range(4)]
OPTIONS = SessionOptions(reference="full", seed=3, max_new_tokens=5, warmup=0)


@dataclass
class Memory:
    """A runner whose answers tell all it was asked since it was reset, and how often."""

    label: str
    fails_on: frozenset[str] = frozenset()
    log: list[Request | None] = field(default_factory=list)
    clock: float = 0.0

    @property
    def asked(self) -> list[Request]:
        """Since the last reset."""
        resets = [index for index, entry in enumerate(self.log) if entry is None]
        return [entry for entry in self.log[resets[-1] + 1 if resets else 0 :] if entry is not None]

    def answer(self, request: Request) -> Response:
        self.log.append(request)
        self.clock += 1.0
        if request.id in self.fails_on:
            return Response(Status.BAD_MEDIA, error="picture: not a readable image")
        past = ",".join(entry.id for entry in self.asked)
        logits = np.array([len(self.asked), len(self.label), 0], np.float32)
        return Response(Status.OK, f"{self.label}:{past}", (1, 2), logits, replace(ZERO, ttft_ms=self.clock))

    def reset(self) -> None:
        self.log.append(None)

    def describe(self) -> dict[str, Any]:
        return {"label": self.label}


@dataclass
class Priming(Memory):
    """One that can store media without an answer."""

    primes: bool = True

    def prime(self, media: Sequence[Media], kept: Sequence[Media]) -> None:
        assert set(kept) <= set(media)
        self.log.append(Request("+".join(medium.name for medium in kept), (), 0))


def conversation(name: str, *turns: Sequence[str | Media], system: str = "Be brief.") -> Conversation:
    made = [
        Turn(f"{name}-{i}", tuple(content), Answer((f"gold-{name}-{i}",), "exact-match"), "family")
        for i, content in enumerate(turns)
    ]
    return Conversation(name, f"cluster-{name}", system, tuple(made))


A, B, C, D = PICTURES
STREAM = [
    conversation("one", ("look ", A), ("and ", B, "?"), ("again?",)),
    conversation("two", (C, "or", A)),
    conversation("three", (A, C), (D, D)),
    conversation("four", ("no picture",), (D,)),
]


def runners(*labels: str) -> list[Memory]:
    return [Memory(label) for label in labels or ("full", "reuse", "prefix")]


def run(group: Sequence[Memory], options: SessionOptions = OPTIONS, finished: Sequence[Record] = ()) -> list[Record]:
    return list(serve("work", STREAM, group, options, {record.key: record for record in finished}))


def test_every_request_has_a_record_of_every_runner() -> None:
    records = run(runners())
    expected = {f"work/{turn.id}/{label}" for c in STREAM for turn in c.turns for label in ("full", "reuse", "prefix")}
    assert [record.key for record in records] == list(dict.fromkeys(record.key for record in records))
    assert {record.key for record in records} == expected


def test_warmth_is_decided_by_the_stream_alone() -> None:
    found = {record.request: (record.warmth, record.recurring_media) for record in run(runners())}
    assert found == {
        "one-0": (Warmth.COLD, 0),
        "one-1": (Warmth.PARTIAL, 1),  # A stands in the history
        "one-2": (Warmth.WARM, 2),
        "two-0": (Warmth.PARTIAL, 1),
        "three-0": (Warmth.WARM, 2),
        "three-1": (Warmth.PARTIAL, 2),  # D twice, both for the first time
        "four-0": (Warmth.COLD, 0),  # without media nothing recurs
        "four-1": (Warmth.WARM, 1),
    }
    failing = [Memory("full"), Memory("reuse", fails_on=frozenset({"one-0", "one-1", "two-0"}))]
    assert {record.request: (record.warmth, record.recurring_media) for record in run(failing)} == found


SPARING = replace(OPTIONS, spares=True)


def test_the_reference_is_spared_cold_requests_and_all_other_answers_are_the_same() -> None:
    spared = {record.key: record for record in run(runners("full", "reuse"), SPARING)}
    whole = {record.key: record for record in run(runners("full", "reuse"))}
    assert whole.keys() - spared.keys() == {"work/one-0/full", "work/four-0/full"}
    assert spared["work/one-0/reuse"].agrees is None
    for key, record in spared.items():
        if record.runner == "reuse":
            assert (record.answer, record.score) == (whole[key].answer, whole[key].score)


def test_the_reference_is_asked_where_another_failed_or_the_history_needs_its_reply() -> None:
    failing = [Memory("full"), Memory("reuse", fails_on=frozenset({"one-0"}))]
    assert "work/one-0/full" in {record.key for record in run(failing, SPARING)}
    nobody_knows = Answer((), "exact-match")
    open_ended = [
        replace(talk, turns=tuple(replace(turn, answer=nobody_knows) for turn in talk.turns)) for talk in STREAM
    ]
    keys = {record.key for record in serve("work", open_ended, runners("full", "reuse"), SPARING, {})}
    assert {"work/one-0/full", "work/four-0/full"} <= keys


@pytest.mark.parametrize("kind", [Memory, Priming])
@pytest.mark.parametrize("cut", [0, 1, 3, 6, 11, 12])
def test_a_sparing_run_goes_on_as_if_it_had_never_been_broken_off(cut: int, kind: type[Memory]) -> None:
    def group() -> list[Memory]:
        return [Memory("full"), kind("reuse")]

    whole = run(group(), SPARING)
    rest = run(group(), SPARING, finished=whole[:cut])
    assert [(record.key, record.answer) for record in [*whole[:cut], *rest]] == [
        (record.key, record.answer) for record in whole
    ]


def test_a_primer_stores_what_comes_back_of_the_cold_requests_that_nobody_is_asked() -> None:
    talks = [conversation("one", (A, B)), conversation("two", ("?", B)), conversation("three", (C,)), *STREAM[3:]]
    full, primed = Memory("full"), Priming("reuse")
    keys = {record.key for record in serve("work", talks, [full, primed], SPARING, {})}
    assert keys == {"work/two-0/full", "work/two-0/reuse", "work/four-0/reuse"}, "four-1 begins with four-0"
    assert [entry.id for entry in primed.asked] == [B.name, "two-0", "four-0"], "of the others nothing comes back"


def test_a_primer_is_asked_where_a_later_request_begins_alike() -> None:
    talks = [conversation("one", (A, B)), conversation("two", (A, C))]
    keys = {record.key for record in serve("work", talks, [Memory("full"), Priming("reuse")], SPARING, {})}
    assert keys == {"work/one-0/reuse", "work/two-0/full", "work/two-0/reuse"}, "of one-0 a prefix comes back"


def test_cold_requests_before_a_stream_count_to_those_that_everybody_computes() -> None:
    group = runners("full", "reuse")
    run(group, replace(OPTIONS, cold_before=COMPUTED_BY_ALL))
    assert [request.adoptable for request in group[1].asked[:2]] == [True, False], "the second one is not cold"
    again = runners("full", "reuse")
    run(again)
    assert not any(request.adoptable for request in again[1].asked)


def test_a_medium_is_recognised_by_kind_and_bytes_not_by_name() -> None:
    renamed, clip = replace(A, name="other"), replace(A, kind="video")
    stream = [conversation("x", (A,)), conversation("y", (renamed,)), conversation("z", (clip,))]
    records = list(serve("work", stream, runners("full"), OPTIONS, {}))
    assert [record.warmth for record in records] == [Warmth.COLD, Warmth.WARM, Warmth.COLD]


def test_every_runner_sees_the_same_prompts_with_the_gold_history() -> None:
    group = runners()
    run(group)
    first, *others = ([(entry.id, entry.messages, entry.max_new_tokens) for entry in runner.asked] for runner in group)
    assert all(other == first for other in others)
    assert [name for name, _, _ in first] == [turn.id for c in STREAM for turn in c.turns]
    assert first[1] == (
        "one-1",
        (
            Message("system", ("Be brief.",)),
            Message("user", ("look ", A)),
            Message("assistant", ("gold-one-0",)),
            Message("user", ("and ", B, "?")),
        ),
        5,
    )


def orders(options: SessionOptions, labels: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in run(runners(*labels), options):
        found.setdefault(record.request, []).append(record.runner)
        assert record.order == len(found[record.request]) - 1
    return found


def test_the_order_of_the_runners_is_drawn_anew_for_every_request_from_the_seed() -> None:
    labels = ("full", "b", "c", "d")
    found = orders(OPTIONS, labels)
    assert found == orders(OPTIONS, labels)
    assert len({tuple(order) for order in found.values()}) > 3
    assert found != orders(replace(OPTIONS, seed=4), labels)


def test_records_follow_the_order_in_which_the_runners_answered() -> None:
    served: list[tuple[str, str]] = []

    @dataclass
    class Logged(Memory):
        def answer(self, request: Request) -> Response:
            served.append((request.id, self.label))
            return super().answer(request)

    records = run([Logged(label) for label in ("full", "b", "c")])
    assert [(record.request, record.runner) for record in records] == served


@pytest.mark.parametrize("warmup", [0, 1, 3, 100])
def test_warm_up_is_asked_twice_forgotten_and_not_counted(warmup: int) -> None:
    group = runners()
    for runner in group:
        runner.answer(Request("from another workload", (), 1))
    records = run(group, replace(OPTIONS, warmup=warmup))
    plain = run(runners())
    assert [replace(record, timing=None, peak_bytes=None) for record in records] == [
        replace(record, timing=None, peak_bytes=None) for record in plain
    ]
    turns = [turn.id for c in STREAM for turn in c.turns]
    for runner in group:
        _, *log = [entry.id if entry else None for entry in runner.log]
        assert log == [None, *turns[:warmup], *turns[:warmup], None, *turns]


def comparable(record: Record) -> Record:
    return replace(record, timing=None, peak_bytes=None)


@hypothesis_settings(max_examples=20)
@given(
    seed=st.integers(0, 100),
    warmup=st.integers(0, 2),
    fails=st.frozensets(st.sampled_from([turn.id for c in STREAM for turn in c.turns]), max_size=3),
)
def test_a_run_broken_off_anywhere_goes_on_as_if_it_had_not(seed: int, warmup: int, fails: frozenset[str]) -> None:
    options = replace(OPTIONS, seed=seed, warmup=warmup)

    def group() -> list[Memory]:
        return [Memory("full"), Memory("reuse", fails), Memory("prefix")]

    unbroken = run(group(), options)
    assert len(unbroken) == 24
    for cut in range(len(unbroken) + 1):
        resumed = run(group(), options, unbroken[:cut])
        assert list(map(comparable, resumed)) == list(map(comparable, unbroken[cut:]))


def test_a_finished_run_is_not_asked_again() -> None:
    group = runners()
    assert run(group, finished=run(runners())) == []
    assert all(runner.log == [] for runner in group)


def test_a_run_broken_off_twice_goes_on_from_what_is_there() -> None:
    unbroken = run(runners())
    holes = unbroken[::3]
    resumed = run(runners(), finished=holes)
    assert list(map(comparable, resumed)) == [comparable(record) for record in unbroken if record not in holes]


def test_without_an_answer_of_the_reference_nothing_is_compared() -> None:
    failing = [Memory("full", frozenset({"one-1"})), Memory("reuse")]
    found = {record.key: record for record in run(failing)}
    lost, kept = found[record_key("work", "one-1", "full")], found[record_key("work", "one-1", "reuse")]
    assert (lost.status, lost.error) == (Status.BAD_MEDIA, "picture: not a readable image")
    assert (lost.answer, lost.score, lost.kl, lost.agrees, lost.timing) == (None, 0.0, None, None, None)
    assert (kept.status, kept.kl, kept.agrees) == (Status.OK, None, None)
    assert kept.answer is not None
    other = found[record_key("work", "one-0", "reuse")]
    assert other.kl is not None
    assert other.kl > 0
    assert other.agrees is False


def test_without_gold_the_history_holds_what_the_reference_said() -> None:
    turns = [Turn(f"q{number}", (f"{number}?",), Answer((), "exact-match"), "family") for number in range(3)]
    turns[1] = replace(turns[1], answer=Answer(("known",), "exact-match"))
    talk = Conversation("talk", "cluster", "", tuple(turns))
    group = [Memory("reuse"), Memory("full", frozenset({"q2"}))]
    records = list(serve("work", [talk, replace(talk, turns=())], group, OPTIONS, {}))
    for runner in group:
        said = [message.content for message in runner.asked[2].messages if message.role == "assistant"]
        assert said == [("full:q0",), ("known",)]
    assert {(record.request, record.score) for record in records} == {("q0", None), ("q1", 0.0), ("q2", None)}
    assert {record.status for record in records if record.request == "q2"} == {Status.OK, Status.BAD_MEDIA}


def test_where_the_reference_said_nothing_nothing_stands_in_the_history() -> None:
    turns = tuple(Turn(f"q{number}", ("?",), Answer((), "exact-match"), "family") for number in range(2))
    group = [Memory("full", frozenset({"q0"})), Memory("reuse")]
    list(serve("work", [Conversation("talk", "cluster", "", turns)], group, OPTIONS, {}))
    assert group[1].asked[1].messages[1] == Message("assistant", ("",))


def test_what_a_metric_says_of_an_answer_is_kept() -> None:
    @dataclass
    class Letters(Memory):
        def answer(self, request: Request) -> Response:
            return Response(Status.OK, {"q0": "(B)", "q1": "Who knows?"}[request.id], (1,))

    key = Answer(("B",), "option-letter", ("no", "yes"))
    turns = tuple(Turn(f"q{number}", ("?",), key, "family") for number in range(2))
    records = list(serve("work", [Conversation("talk", "cluster", "", turns)], [Letters("full")], OPTIONS, {}))
    told = [(record.score, record.parse_failed, record.official_score) for record in records]
    assert told == [(1.0, False, None), (0.0, True, None)]


def test_the_reference_agrees_with_itself() -> None:
    own = [record for record in run(runners()) if record.runner == "full"]
    assert {(record.kl, record.agrees) for record in own} == {(0.0, True)}


def test_a_failed_runner_scores_nothing_and_is_compared_with_nothing() -> None:
    failing = [Memory("full"), Memory("reuse", frozenset({"one-1"}))]
    found = {record.key: record for record in run(failing)}
    lost = found[record_key("work", "one-1", "reuse")]
    assert (lost.status, lost.score, lost.kl, lost.agrees) == (Status.BAD_MEDIA, 0.0, None, None)


def test_answers_are_scored_and_clusters_and_content_kept() -> None:
    @dataclass
    class Right(Memory):
        def answer(self, request: Request) -> Response:
            return Response(Status.OK, f"gold-{request.id}" if request.id != "one-1" else "no", (1,))

    known, half = replace(A, content_share=0.2), replace(B, content_share=0.4)
    stream = [conversation("one", (known,), (half,), (C,)), conversation("two", ("text",))]
    records = list(serve("work", stream, [Right("full")], OPTIONS, {}))
    assert [record.score for record in records] == [1.0, 0.0, 1.0, 1.0]
    assert [record.cluster_id for record in records] == ["cluster-one"] * 3 + ["cluster-two"]
    assert [record.content_share for record in records] == [0.2, pytest.approx(0.3), None, None]
    assert {record.kl for record in records} == {None}, "without logits there is no divergence"
    assert records[0].gold == ("gold-one-0",)


@dataclass
class Stopping:
    """Asks one runner for so many requests only, and everybody until another has had as many as it may."""

    most: dict[str, int]
    noted: list[str] = field(default_factory=list)

    def asks(self, label: str) -> bool:
        counts = {name: sum(key.endswith(f"/{name}") for key in self.noted) for name in self.most}
        over = [name for name, count in counts.items() if count >= self.most[name]]
        return label not in over and len(over) < len(self.most)

    def note(self, record: Record) -> None:
        self.noted.append(record.key)


def test_who_is_decided_is_asked_no_more_and_the_stream_ends_with_the_last() -> None:
    group, watch = runners(), Stopping({"reuse": 2, "prefix": 5})
    records = list(serve("work", STREAM, group, OPTIONS, {}, watch))
    counts = {runner.label: sum(record.runner == runner.label for record in records) for runner in group}
    assert counts == {"full": 5, "reuse": 2, "prefix": 5}
    assert [record.key for record in records] == watch.noted
    assert all(not runner.asked for runner in group), "the stores of those that dropped out are forgotten"
    unwatched = {record.key: record for record in run(runners())}
    assert all(record.answer == unwatched[record.key].answer for record in records)


@pytest.mark.parametrize("cut", [0, 1, 4, 9, 11])
def test_a_watched_run_goes_on_as_if_it_had_never_been_broken_off(cut: int) -> None:
    whole = list(serve("work", STREAM, runners(), OPTIONS, {}, Stopping({"reuse": 2, "prefix": 5})))
    watch = Stopping({"reuse": 2, "prefix": 5})
    rest = list(serve("work", STREAM, runners(), OPTIONS, {record.key: record for record in whole[:cut]}, watch))
    assert [record.key for record in [*whole[:cut], *rest]] == [record.key for record in whole] == watch.noted
