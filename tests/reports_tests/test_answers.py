"""The answer of a run: which runners are named, which are not, and the block that opens every report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.answers.answer import Answer, Word, find_answers, find_overall, in_points
from reports.answers.block import WIDTH, Block, compose
from reports.run.manifest import Manifest
from reports.statistics.levels import BOUNDED
from reports.summary.notice import Notice, NoticeKind
from reports.summary.row import Row
from workloads.registry import DEFAULT_WORKLOADS

LOSSLESS = ("full", "encoder-cache", "prefix-cache")
LOSSY = ("full-reuse", "conduit", "vlcache")
SPEEDS = {"full": 1.0, "encoder-cache": 1.8, "prefix-cache": 1.6, "full-reuse": 7.0, "conduit": 2.8, "vlcache": 3.5}


def manifest(*labels: str) -> Manifest:
    runners = [{"label": name, "method": name, "lossless": name in LOSSLESS, "options": {}} for name in labels]
    return Manifest.check(
        {
            "schema": 1,
            "config": {"reference": "full"},
            "workloads": {"one": "a" * 64, "two": "b" * 64},
            "model": {"name": "builtin", "dtype": "float32", "device": "cpu"},
            "runners": runners,
            "environment": {},
        },
        "here",
    )


def row(runner: str, workload: str = "one", **measured: Any) -> Row:
    """A row of 190 requests; a runner that may change answers loses less than 4.6 points."""
    lossless = runner in LOSSLESS
    values: dict[str, Any] = {
        "runner": runner,
        "workload": workload,
        "model": "builtin",
        "device": "cpu",
        "dtype": "float32",
        "requests": 190,
        "failed": 0,
        "margin": 0.02,
        "alpha": 0.05,
        "fallbacks": 0,
        "ttft_speedup": SPEEDS[runner],
        "ttft_speedup_vs_lossless": SPEEDS[runner] / 1.8,
        "verdict": None if runner == "full" else "exact" if lossless else "undecided",
        "loss_at_most": 0.0 if lossless else 0.0451,
        "needed_requests": None if lossless else 451,
        "needed_separate": None if lossless else 150,
    }
    return Row(**(values | measured))


def lossy(runner: str, loses: float | None, workload: str = "one", verdict: str = "undecided", **more: Any) -> Row:
    return row(runner, workload, loss_at_most=loses, verdict=verdict, **more)


def worse(runner: str, workload: str = "one") -> Row:
    return lossy(runner, 0.6, workload, "inferior", loss_at_least=0.3125, needed_requests=None, needed_separate=None)


def answered(*rows: Row) -> Answer:
    (found,) = find_answers([row("full"), *rows], manifest("full", *(entry.runner for entry in rows)))
    return found


def test_the_fastest_that_is_shown_safe_is_named_and_what_is_unsafe_never() -> None:
    found = answered(row("encoder-cache"), row("prefix-cache"), worse("full-reuse"), row("conduit"), row("vlcache"))
    assert found.word is Word.BOUNDED
    assert found.free is not None
    assert found.reuse is not None
    assert (found.free.runner, found.reuse.runner) == ("encoder-cache", "vlcache")
    assert [(loss.runner, loss.at_least) for loss in found.unsafe] == [("full-reuse", 0.3125)]
    assert found.sentence == (
        "vlcache is 3.5 times as fast as full and loses less than 4.6 points of accuracy; about 451 requests like "
        "these would show if it is 2 points. Free of any risk: encoder-cache, 1.8 times as fast. "
        "Unsafe here: full-reuse at least 31.2 points of accuracy lost."
    )


def test_what_is_proven_at_the_margin_goes_before_what_is_bounded() -> None:
    proven = lossy("conduit", 0.0199, verdict="non-inferior", needed_requests=None, needed_separate=None)
    found = answered(row("encoder-cache"), proven, row("vlcache"))
    assert (found.word, found.reuse and found.reuse.runner) == (Word.YES, "conduit")
    assert found.sentence.startswith("conduit is 2.8 times as fast as full and loses less than 2 points of accuracy. ")


def test_a_runner_that_loses_elsewhere_is_not_named_here() -> None:
    rows = [row("full"), row("full-reuse"), row("full", "two"), worse("full-reuse", "two")]
    here, there = find_answers(rows, manifest("full", "full-reuse"))
    assert (here.word, here.reuse, here.nearest) == (Word.NO, None, None)
    assert here.sentence == "Every runner that may change answers loses some, here or on another workload of this run."
    assert there.unsafe[0].runner == "full-reuse"
    overall = find_overall([here, there], rows, manifest("full", "full-reuse"))
    assert overall is not None
    assert (overall.word, overall.gain) == (Word.NO, None)


def test_a_runner_that_broke_its_promise_is_said_first_and_not_named() -> None:
    found = answered(
        row("conduit"),
        row("vlcache", risk_promised=0.02, risk_found=0.125, risk_found_ci_low=0.08, risk_found_ci_high=0.2),
    )
    assert found.reuse is not None
    assert found.reuse.runner == "conduit"
    assert found.sentence.startswith(
        "vlcache broke its promise: it changed 12.5 % of the answers [8.0, 20.0], promised were 2 % at most. conduit is"
    )


def test_too_few_requests_name_nothing_to_switch_on() -> None:
    found = answered(row("encoder-cache"), lossy("full-reuse", BOUNDED), lossy("vlcache", 0.2))
    assert (found.word, found.reuse) == (Word.NOT_YET, None)
    assert found.nearest is not None
    assert found.nearest.runner == "full-reuse"
    assert found.named == found.free
    assert found.sentence.startswith(
        "No reuse is shown safe yet: full-reuse may lose up to 5 points of accuracy; about"
    )


def test_reuse_no_faster_than_what_is_free_is_no_gain() -> None:
    found = answered(row("encoder-cache"), row("vlcache", ttft_speedup=1.7))
    assert found.word is Word.NO
    assert found.named == found.free
    assert found.sentence.startswith(
        "What keeps the answers is no faster than encoder-cache, which changes none: vlcache"
    )


def test_exact_runners_alone_are_an_answer() -> None:
    found = answered(row("encoder-cache"), row("prefix-cache"))
    assert (found.word, found.sentence) == (
        Word.YES,
        "encoder-cache changes no answer and is 1.8 times as fast as full.",
    )


def test_a_lossless_runner_that_changes_answers_is_not_free() -> None:
    found = answered(row("encoder-cache", verdict="broken"), row("prefix-cache"))
    assert found.free is not None
    assert found.free.runner == "prefix-cache"


def test_where_no_answer_is_judged_only_times_are_told() -> None:
    found = answered(row("encoder-cache"), lossy("full-reuse", None), lossy("vlcache", None))
    assert (found.word, found.reuse) == (Word.TIMES_ONLY, None)
    assert found.sentence.startswith(
        "No answer can be judged here, so no reuse is shown safe. The fastest is full-reuse,"
    )


def test_over_all_workloads_the_lowest_gain_and_the_largest_loss_count() -> None:
    rows = [row("full"), row("vlcache"), row("full", "two"), lossy("vlcache", 0.031, "two", ttft_speedup=2.04)]
    known = manifest("full", "vlcache")
    overall = find_overall(find_answers(rows, known), rows, known)
    assert overall is not None
    assert overall.word is Word.BOUNDED
    assert overall.sentence == (
        "vlcache is at least 2.0 times as fast on every workload and loses less than 4.6 points on each."
    )


def test_workloads_too_small_to_tell_by_themselves_tell_together() -> None:
    rows = [
        row("full"),
        lossy("vlcache", 0.14, pooled_loss_at_most=0.0296),
        row("full", "two"),
        lossy("vlcache", 0.13, "two", pooled_loss_at_most=0.0296, ttft_speedup=2.04),
    ]
    known = manifest("full", "vlcache")
    answers = find_answers(rows, known)
    assert {found.word for found in answers} == {Word.NOT_YET}
    overall = find_overall(answers, rows, known)
    assert overall is not None
    assert (overall.word, overall.gain and overall.gain.loss_at_most) == (Word.BOUNDED, 0.0296)
    assert overall.sentence == (
        "vlcache is at least 2.0 times as fast on every workload and loses less than 3 points over all of them "
        "together."
    )
    unbounded = [entry if entry.runner == "full" else replace(entry, pooled_loss_at_most=BOUNDED) for entry in rows]
    overall = find_overall(find_answers(unbounded, known), unbounded, known)
    assert overall is not None
    assert overall.gain is None


@given(st.floats(0, 1), st.booleans())
def test_points_are_rounded_to_the_safe_side(share: float, up: bool) -> None:
    told = float(in_points(share, up).split()[0])
    assert told >= 100 * share - 1e-6 if up else told <= 100 * share + 1e-6
    assert abs(told - 100 * share) <= 0.1 + 1e-6


rows_of_any_kind = st.lists(
    st.builds(
        lambda runner, speed, loss, verdict, needed: lossy(
            runner, loss, verdict=verdict, ttft_speedup=speed, ttft_speedup_vs_lossless=speed, needed_separate=needed
        ),
        st.sampled_from(LOSSY),
        st.one_of(st.none(), st.floats(0.1, 50)),
        st.one_of(st.none(), st.floats(0, 1)),
        st.sampled_from(["undecided", "non-inferior", "inferior", None]),
        st.one_of(st.none(), st.integers(1, 10**6)),
    ),
    unique_by=lambda entry: entry.runner,
)


@given(rows_of_any_kind)
def test_nothing_unsafe_or_unbounded_is_ever_named(rows: list[Row]) -> None:
    found = answered(row("encoder-cache"), *rows)
    unsafe = {entry.runner for entry in rows if entry.verdict == "inferior"}
    if found.named is not None and found.named.runner not in LOSSLESS:
        named = next(entry for entry in rows if entry.runner == found.named.runner)
        assert named.runner not in unsafe
        assert named.verdict == "non-inferior" or (named.loss_at_most is not None and named.loss_at_most < BOUNDED)
    assert {loss.runner for loss in found.unsafe} == unsafe
    assert "\n" not in found.sentence


def block(*rows: Row, notices: tuple[Notice, ...] = (), folder: str = "results/run") -> Block:
    known = manifest(*dict.fromkeys(entry.runner for entry in rows))
    return compose(rows, known, notices, folder)


def default_rows() -> list[Row]:
    """Of the default run: eight runners would not add lines, five workloads do."""
    rows = []
    for workload in ("image-chat", "doc-qa", "video", "binding", "multi-hop"):
        unsafe = workload in ("binding", "multi-hop")
        rows += [row("full", workload), row("encoder-cache", workload), row("prefix-cache", workload)]
        rows += [worse("full-reuse", workload) if unsafe else row("full-reuse", workload), row("vlcache", workload)]
    return rows


def shown(found: Block) -> list[str]:
    from io import StringIO

    from rich.console import Console

    from reports.forms.answer_block import render

    out = StringIO()
    Console(file=out, width=120, highlight=False).print(render(found))
    return out.getvalue().rstrip("\n").split("\n")


def test_the_block_of_the_default_run_fits_a_small_screen() -> None:
    lines = shown(block(*default_rows()))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= WIDTH
    text = "\n".join(lines)
    unsafe = "Unsafe, losing at least: full-reuse (31.2 points on binding, 31.2 points on multi-hop)."
    assert unsafe in " ".join(text.split())
    assert "Exact, every answer checked: encoder-cache, prefix-cache." in text
    assert text.count("full-reuse") == 1, "what is unsafe somewhere is advertised nowhere"


def test_the_block_of_a_run_that_leaves_all_open_fits_it_too() -> None:
    rows = []
    for workload in DEFAULT_WORKLOADS:
        rows += [row("full", workload), row("encoder-cache", workload), row("prefix-cache", workload)]
        rows += [worse("full-reuse", workload), lossy("conduit", 0.2451, workload, needed_separate=149)]
    kinds = (NoticeKind.FEW_SAMPLES, NoticeKind.DRIFTED_CLOCK)
    few = tuple(Notice(kind, "one", None, "a", "b") for kind in kinds)
    lines = shown(block(*rows, notices=few, folder="results/20261130T150000Z-0c0ffee0"))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= WIDTH
    text = " ".join(" ".join(lines).split())
    assert "Not shown safe by itself: image-chat, doc-qa, video, binding, multi-hop; 149 requests" in text
    assert "next vlcache bench --until-decided --runner full,conduit" in text


def test_the_title_tells_how_many_requests_only_some_runners_were_asked() -> None:
    assert block(row("full"), row("vlcache")).table.about == "190 requests, builtin on cpu in float32"
    spared = block(row("full", requests=130), row("vlcache"))
    assert spared.table.about == "190 requests, builtin on cpu in float32"
    some = block(row("full", requests=130), row("encoder-cache", requests=30), row("vlcache"))
    assert some.table.about == "190 requests, 30 of all runners, builtin on cpu in float32"


def test_warnings_are_counted_and_what_is_red_is_said() -> None:
    broken = Notice(NoticeKind.FAILED_REQUESTS, "one", None, "failed, counted as wrong: vlcache 3 of 190", "look")
    few = Notice(NoticeKind.CONTENTION, "one", None, "other work", "wait")
    notes = [note.text for note in block(row("full"), row("vlcache"), notices=(broken, few, few)).notes]
    assert "one: failed, counted as wrong: vlcache 3 of 190; look." in notes
    assert "2 warnings (contention): see every column." in notes
    alone = [note.text for note in block(row("full"), row("vlcache"), notices=(few,)).notes]
    assert "1 warning (contention): see every column." in alone


def test_what_is_safe_and_no_faster_is_said_to_gain_nothing() -> None:
    slow = lossy("vlcache", 0.0195, verdict="non-inferior", ttft_speedup=0.8)
    found = answered(slow)
    assert (found.word, found.reuse, found.nearest) == (Word.NO, None, None)
    assert found.sentence == "What keeps the answers is no faster than full: vlcache, 0.8 times as fast."
    shown_block = block(row("full"), slow)
    assert [column.title for column in shown_block.table.columns][2] == "best reuse"
    assert "one: what keeps the answers is no faster than full: vlcache, 0.8 times as fast." in [
        note.text for note in shown_block.notes
    ]
    open_one = answered(slow, lossy("conduit", 0.06))
    assert open_one.nearest is not None
    assert (open_one.word, open_one.nearest.runner) == (Word.NOT_YET, "conduit")


def test_brackets_are_explained_where_there_are_any() -> None:
    def heads(*rows: Row) -> list[str]:
        return [column.title for column in block(*rows).table.columns]

    assert "best reuse (in brackets: not shown safe)" in heads(row("full"), lossy("conduit", 0.2451))
    assert "best reuse" in heads(row("full"), row("vlcache"))


def test_the_next_command_asks_those_that_are_open_until_they_are_decided() -> None:
    found = block(row("full"), row("vlcache"), folder="results/my run")
    assert found.commands["next"] == "vlcache bench --until-decided --workload one --runner full,vlcache"
    assert found.commands["every column"] == "vlcache report 'results/my run'  # as a page: --format html"
    proven = block(
        row("full"), lossy("vlcache", 0.01, verdict="non-inferior", needed_requests=None, needed_separate=None)
    )
    assert proven.commands["next"] == "vlcache bench --model YOURS --workload YOURS.jsonl"


def test_the_next_command_asks_the_same_model_with_the_same_profile() -> None:
    known = manifest("full", "vlcache")
    config: Any = known.config
    config.update(model="my model", profile="my.yaml")
    found = compose((row("full"), row("vlcache")), known, (), "results/run")
    assert "--until-decided --model 'my model' --profile my.yaml --workload one" in found.commands["next"]


@pytest.mark.parametrize("verdict", ["broken"])
def test_a_lossless_runner_that_errs_is_a_fault(verdict: str) -> None:
    found = block(row("full"), row("encoder-cache", verdict=verdict, first_difference="q7"))
    assert any("encoder-cache is lossless and yet" in note.text and note.style == "red" for note in found.notes)


def test_equal_rows_give_equal_blocks() -> None:
    rows = default_rows()
    assert block(*rows) == block(*(replace(entry) for entry in rows))
