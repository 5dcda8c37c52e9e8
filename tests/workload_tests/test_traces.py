"""Traces: ten thousand requests reproduce what was published, and files of strangers are read or told in one line."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from workloads.base import StreamOptions
from workloads.datasets.sources import Sources
from workloads.errors import UsageError
from workloads.records import Conversation
from workloads.registry import TRACES, open_workload
from workloads.seeding import stream
from workloads.traces.distributions import Gaps, Strata, read_quantiles, tail_ratio
from workloads.traces.drawing import TracedRequest
from workloads.traces.recurrence import RecurringImages
from workloads.traces.rendering import grid_of, write_text
from workloads.traces.trace_file import Recurrence
from workloads.traces.workload import Trace

REQUESTS = 10_000
PUBLISHED = {
    "image": {25: 234, 50: 540, 75: 1196, 90: 1224},
    "text": {50: 106, 90: 1914},
    "output": {50: 100, 99: 587},
}
SHARES = {0: 0.006, 1: 0.798, 2: 0.066, 3: 0.076, 4: 0.021}


@cache
def published() -> list[TracedRequest]:
    trace = open_workload("servegen-image")
    assert isinstance(trace, Trace)
    return list(islice(trace.requests("bench", 0), REQUESTS))


def described(**changes: Any) -> dict[str, Any]:
    """The published description, some keys changed, and those left out that are None."""
    given = {**yaml.safe_load((TRACES / "servegen-image.yaml").read_text()), **changes}
    return {key: value for key, value in given.items() if value is not None}


Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(**changes: Any) -> str:
        Path("mine.yaml").write_text(yaml.safe_dump(described(**changes)))
        return "mine.yaml"

    return write


def asked(name: str, samples: int, seed: int = 0) -> list[Conversation]:
    return list(open_workload(name).conversations(StreamOptions(samples, seed)))


# --- what was published is reproduced ---------------------------------------------------------------------------------


def test_quantiles_are_those_published() -> None:
    sizes = {
        "image": [image.tokens for request in published() for image in request.images],
        "text": [request.text_tokens for request in published()],
        "output": [request.output_tokens for request in published()],
    }
    for name, quantiles in PUBLISHED.items():
        for percent, size in quantiles.items():
            assert np.percentile(sizes[name], percent) == pytest.approx(size, rel=0.02), f"p{percent} of {name}"
    assert max(sizes["image"]) <= 1280


def test_pictures_are_drawn_at_the_published_sizes() -> None:
    """What a model makes of the pictures' pixels keeps to the quantiles, too."""
    drawn = [grid_of(image.tokens).cells for request in published() for image in request.images]
    for percent, size in PUBLISHED["image"].items():
        assert np.percentile(drawn, percent) == pytest.approx(size, rel=0.02)
    for tokens in range(16, 1281):
        grid = grid_of(tokens)
        assert grid.cells == pytest.approx(tokens, rel=0.03 if tokens >= 100 else 0.07)
        assert grid.rows <= grid.cols <= 2.5 * grid.rows


def test_as_many_requests_recur_as_is_stated() -> None:
    shown: set[int] = set()
    recurring = []
    for request in published():
        numbers = {image.number for image in request.images}
        assert len(numbers) == len(request.images)
        if numbers:
            assert len({image.is_new for image in request.images}) == 1
            assert numbers <= shown if not request.images[0].is_new else not numbers & shown
            recurring.append(numbers <= shown)
        shown |= numbers
    assert np.mean(recurring) == pytest.approx(0.8, rel=0.01)


def test_images_of_a_request_and_arrivals_are_those_published() -> None:
    counts = Counter(len(request.images) for request in published())
    for count, share in SHARES.items():
        assert counts[count] / REQUESTS == pytest.approx(share, abs=0.001)
    assert sum(count * times for count, times in counts.items()) / REQUESTS == pytest.approx(1.59, rel=0.02)
    assert max(counts) <= 49
    gaps = np.diff([0.0, *(request.arrival_s for request in published())])
    assert 1 / gaps.mean() == pytest.approx(9.475, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(2.2, rel=0.02)


@pytest.mark.parametrize("weibull", [0.0, 1.0])
@pytest.mark.parametrize("cv", [0.5, 1.0, 2.2])
def test_gaps_have_their_mean_and_variation(cv: float, weibull: float) -> None:
    gaps, shares = Gaps(3.0, cv, weibull), (np.arange(20_000) + 0.5) / 20_000
    drawn = np.array([gaps.at(float(share), 0.5) for share in shares])
    assert drawn.mean() == pytest.approx(3.0, rel=0.01)
    assert drawn.std() / drawn.mean() == pytest.approx(cv, rel=0.02)
    if cv == 1.0:  # both are exponential then
        assert np.median(drawn) == pytest.approx(3.0 * np.log(2), rel=0.01)


def test_every_block_has_one_draw_of_each_percentile() -> None:
    strata = Strata(stream("bench", "strata"))
    for _ in range(3):
        block = sorted(int(strata.draw() * 100) for _ in range(100))
        assert block == list(range(100))


@pytest.mark.parametrize(("soon_share", "zipf"), [(0.2, 0.0), (0.8, 1.0)])
def test_images_come_back_soon_and_popular_ones_often_as_the_law_says(soon_share: float, zipf: float) -> None:
    law = Recurrence(seen_share=0.8, zipf=zipf, soon_s=100, soon_share=soon_share)
    images = RecurringImages(law, stream("bench", "law"))
    last: dict[int, float] = {}
    soon: list[bool] = []
    shown = Counter[int]()
    for now_s in map(float, range(4000)):
        (image,) = images.draw(1, now_s)
        if image.number in last and now_s > 1000:
            soon.append(now_s - last[image.number] <= 100)
        last[image.number] = now_s
        shown[image.number] += 1
    assert np.mean(soon) == pytest.approx(soon_share, abs=0.03)
    top = sum(times for _, times in shown.most_common(len(shown) // 10)) / shown.total()
    assert top > 0.5 if zipf else top < 0.5


# --- requests ---------------------------------------------------------------------------------------------------------


def test_requests_have_pictures_and_texts_of_their_sizes() -> None:
    conversations = asked("servegen-image@scale=0.5,pixels=8", 40)
    requests = published()[:40]
    first = {"text": 0, "image": 0}
    for conversation, request in zip(conversations, requests, strict=True):
        (turn,) = conversation.turns
        texts = [part for part in turn.content if isinstance(part, str)]
        assert [len(text) for text in texts] == [max(1, round(request.text_tokens * 0.5))]
        assert len(turn.media) == len(request.images)
        for medium, image in zip(turn.media, request.images, strict=True):
            with Image.open(io.BytesIO(medium.data)) as file:
                tokens = file.width // 8 * (file.height // 8)
                assert (file.width % 8, file.height % 8) == (0, 0)
            assert tokens == grid_of(max(1, round(image.tokens * 0.5))).cells
        assert turn.arrival_s == request.arrival_s
        assert turn.output_tokens == max(1, round(request.output_tokens * 0.5))
        assert not turn.answer.has_gold
        first["text" if isinstance(turn.content[0], str) else "image"] += 1
    assert min(first.values()) >= 8
    names = {medium.name: medium.data for c in conversations for medium in c.turns[0].media}
    assert len(set(names.values())) == len(names) == len({i.number for r in requests for i in r.images})


def test_equal_options_give_equal_requests_and_a_shorter_stream_is_a_prefix() -> None:
    name = "servegen-image@scale=0.02"
    assert asked(name, 12) == asked(name, 12)
    assert asked(name, 12)[:5] == asked(name, 5)
    assert asked(name, 5, seed=1) != asked(name, 5)


def test_a_text_is_digits() -> None:
    text = write_text(stream("bench", "text"), 500)
    assert len(text) == 500
    assert text.isdigit()


def test_sessions_have_turns(write: Write) -> None:
    sessions = asked(write(scale=0.01, sessions={"turns": {2: 0.5, 4: 0.5}, "think_s": 5}), 60)
    assert {len(session.turns) for session in sessions[:-1]} == {2, 4}
    assert sum(len(session.turns) for session in sessions) == 60
    for session in sessions:
        first, *later = session.turns
        assert first.think_s is None
        for before, after in pairwise([first, *later]):
            assert before.arrival_s is not None
            assert after.think_s is not None
            assert after.arrival_s == pytest.approx(before.arrival_s + after.think_s)


# --- replayed files ---------------------------------------------------------------------------------------------------

REPLAYED: dict[str, Any] = dict.fromkeys(("images", "arrivals", "text_tokens", "output_tokens"))
AZURE = "TIMESTAMP,NumImages,ContextTokens,GeneratedTokens\n"
ROWS = "2024-10-15 00:00:00.250+00:00,2,5000,104\n2024-10-15 00:00:01.750+00:00,0,60,7\n"


def test_azures_trace_is_read_as_arrivals_and_sizes(write: Write) -> None:
    Path("azure.csv").write_text(AZURE + ROWS)
    trace = open_workload(write(replay="azure.csv", **REPLAYED))
    assert isinstance(trace, Trace)
    one, two = trace.requests("bench", 0)
    assert (one.arrival_s, len(one.images), one.output_tokens) == (0, 2, 104)
    assert one.text_tokens + sum(image.tokens for image in one.images) == 5000
    assert (two.arrival_s, two.images, two.text_tokens, two.output_tokens) == (1.5, (), 60, 7)


def test_lines_as_mooncakes_are_read_as_arrivals_and_sizes(write: Write) -> None:
    Path("day.jsonl").write_text(
        '{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}\n'
        '{"timestamp": 30535.5, "input_length": 6472, "output_length": 26, "num_images": 1}\n'
    )
    trace = open_workload(write(replay="day.jsonl", scale=0.01, **REPLAYED))
    assert isinstance(trace, Trace)
    one, two = trace.requests("bench", 0)
    assert (one.arrival_s, one.images, one.text_tokens, one.output_tokens) == (0, (), 6955, 52)
    assert two.arrival_s == pytest.approx(3.0535)
    assert len(two.images) == 1
    assert len(list(trace.conversations(StreamOptions(10)))) == 2


@pytest.mark.parametrize(
    ("name", "text", "mistake"),
    [
        ("a.csv", "TIMESTAMP,NumImages\n", "a.csv, line 1: names no column ContextTokens: the first line must name"),
        ("a.csv", AZURE + "now,1,2,3\n", "a.csv, line 2: TIMESTAMP must be a date and time, not 'now'"),
        ("a.csv", AZURE + "2024-10-15 00:00:00,1,2\n", "a.csv, line 2: has 3 columns, not 4"),
        ("a.csv", AZURE + "2024-10-15 00:00:00,-1,2,3\n", "a.csv, line 2: NumImages must be a whole number from 0"),
        ("a.csv", AZURE + "2024-10-15 00:00:00,1001,2,3\n", "a.csv, line 2: NumImages must be a whole number from 0"),
        ("a.csv", AZURE + "x" * 5000, "a.csv, line 2: is longer than 4096 bytes"),
        ("a.csv", AZURE + ROWS + ROWS, "a.csv: request 3 comes before the one above it: sort the file"),
        ("a.jsonl", "{}\n", "a.jsonl, line 1: timestamp is missing"),
        ("a.jsonl", "no\n", "a.jsonl, line 1: is not valid JSON"),
        ("a.txt", "", "a.txt: a file to replay ends in .csv (Azure's columns) or .jsonl (Mooncake's keys)"),
    ],
)
def test_mistakes_in_replayed_files_are_told_in_one_line(write: Write, name: str, text: str, mistake: str) -> None:
    Path(name).write_text(text)
    trace = open_workload(write(replay=name, **REPLAYED))
    with pytest.raises(UsageError) as error:
        list(trace.conversations(StreamOptions(10)))
    assert str(error.value).startswith(mistake)
    assert "\n" not in str(error.value)


def test_a_file_to_replay_lies_in_the_folder_of_the_description(write: Write) -> None:
    with pytest.raises(UsageError, match="replay must lead to what lies inside the data set's folder"):
        open_workload(write(replay="../a.csv", **REPLAYED))
    Path("a.csv").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="it is a symbolic link"):
        asked(write(replay="a.csv", **REPLAYED), 1)


# --- descriptions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"images": None}, "images is missing: give it, or a file to replay"),
        ({"replay": "a.csv"}, "images is what the file to replay says: drop it"),
        ({"text_tokens": {"p50": 100}}, "text_tokens must give p0 and p100, the least and the largest size"),
        ({"text_tokens": {"p0": 9, "p100": 4}}, "text_tokens must be sizes of at least 1 that do not fall"),
        ({"text_tokens": {"p0": 9, "half": 4}}, "text_tokens must have names such as p50 and p99.9, not 'half'"),
        ({"images": {"counts": {1: 0.5}}}, "images must have counts whose shares add up to 1, not to 0.5"),
        ({"images": {"counts": {1: 0.9}, "tail": {"least": 2, "most": 4, "mean": 9}}}, "images.tail must have a mean"),
        ({"sessions": {"turns": {0: 1.0}}}, "sessions must have turns of at least 1"),
        ({"recurrence": {"seen_share": 2}}, "recurrence.seen_share must be a number from 0 to 1, not 2"),
        ({"arrivals": {"requests_per_s": 0}}, "arrivals.requests_per_s must be a number from 1e-06 to 1000000, not 0"),
        ({"arrival": {}}, "unknown key 'arrival'"),
    ],
)
def test_mistakes_in_descriptions_are_told_in_one_line(write: Write, changes: dict[str, Any], mistake: str) -> None:
    with pytest.raises(UsageError) as error:
        open_workload(write(**changes))
    assert mistake in str(error.value)
    assert "\n" not in str(error.value)


def test_settings_of_data_sets_are_refused(write: Write) -> None:
    with pytest.raises(UsageError, match=r"trace 'mine.yaml' takes no --recur: its description says all of it"):
        open_workload(write(), Sources(recur="prefix"))
    with pytest.raises(UsageError, match=r"scale must be a number from 0.001 to 10, not 0"):
        open_workload("servegen-image@scale=0")


def test_other_yaml_files_are_data_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("description: x\n")
    with pytest.raises(UsageError, match="path is missing"):
        open_workload("mine.yaml")


def test_pixels_are_those_of_the_model_where_nothing_says(write: Write) -> None:
    for sources, told, option, side in (
        (Sources(), None, "", 28),
        (Sources(pixels_per_token=16), None, "", 16),
        (Sources(pixels_per_token=16), 32, "", 32),
        (Sources(pixels_per_token=16), 32, "@pixels=8", 8),
    ):
        opened = open_workload(f"{write(pixels_per_token=told)}{option}", sources)
        turn = next(iter(opened.conversations(StreamOptions(1)))).turns[0]
        with Image.open(io.BytesIO(turn.media[0].data)) as file:
            assert (file.width % side, file.height % side) == (0, 0)
            assert file.width * file.height == grid_of(published()[0].images[0].tokens).cells * side**2


def test_quantiles_are_log_linear_between_those_given() -> None:
    quantiles = read_quantiles({"p0": 1, "p50": 100, "p100": 100})
    assert quantiles.at(0.25) == pytest.approx(10)
    assert quantiles.at(0.75) == 100
    assert quantiles.at(1.0) == 100
    assert tail_ratio(5, 49, 27.0) == pytest.approx(1.0, abs=1e-6)
