"""Requests under load: when they arrive, that all are sent and answered, and what is said of a client that was late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.pictures.curve_files import draw_load
from reports.run.descriptions import AtRate, LoadDescription
from reports.run.frame import to_frame
from reports.statistics.slo import Slo
from reports.summary.load import load_values, missed
from reports.summary.row import Row
from reports.sweep.load_knee import Knee, knees
from reports.tables.load import times_table
from runners.base import Request, Response
from runners.load.ceiling import measure_ceiling
from runners.load.loop import Outcome, run_closed, run_open
from runners.load.queue import Queued
from runners.load.session import LoadOptions
from runners.records import Load, Record, Status, Timing, Warmth
from runners.session import StreamRequest
from vlcache_cli.app import main
from workloads.arrivals import Arrivals
from workloads.records import Conversation


@given(
    text=st.sampled_from(["poisson", "constant", "gamma:0.5", "gamma:3", "burst:4"]),
    rate=st.floats(0.01, 1000),
    count=st.integers(0, 300),
    seed=st.integers(0, 99),
)
def test_arrivals_ascend_from_0_and_the_seed_decides(text: str, rate: float, count: int, seed: int) -> None:
    arrivals = Arrivals.read(text, rate)
    times = arrivals.times(count, seed, "x")
    assert len(times) == count
    assert (np.diff(times) >= 0).all()
    assert not count or times[0] == 0
    assert np.array_equal(times, arrivals.times(count, seed, "x"))


@pytest.mark.parametrize(("text", "cv"), [("poisson", 1.0), ("gamma:2.2", 2.2), ("gamma:0.3", 0.3), ("constant", 0.0)])
def test_arrivals_have_the_rate_and_the_variation_that_were_asked_for(text: str, cv: float) -> None:
    gaps = np.diff(Arrivals.read(text, 20.0).times(100_000, 1, "x"))
    assert gaps.mean() == pytest.approx(0.05, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, abs=0.06)


def test_bursts_arrive_at_once_at_the_mean_rate() -> None:
    times = Arrivals.read("burst:4", 8.0).times(12, 0, "x")
    assert times.tolist() == [0.0] * 4 + [0.5] * 4 + [1.0] * 4


@pytest.mark.parametrize(
    "text", ["", "often", "gamma", "gamma:0", "gamma:-1", "gamma:nan", "gamma:x", "burst:0", "burst:1.5", "poisson:2"]
)
def test_other_processes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be poisson, constant, gamma:CV"):
        Arrivals.read(text, 1.0)


def test_an_objective_limits_one_time_or_both() -> None:
    assert Slo.read("ttft=500") == Slo(ttft_ms=500)
    assert Slo.read("tpot=5.5, ttft=500") == Slo(500, 5.5)


@pytest.mark.parametrize("text", ["", "ttft", "ttft=0", "ttft=-1", "ttft=nan", "e2e=5", "ttft=1,ttft=2", "ttft=1e99"])
def test_other_objectives_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be like ttft=500,tpot=50"):
        Slo.read(text)


class Slow:
    """Answers after a while, and counts how many it answers at once."""

    def __init__(self) -> None:
        self.under_way = self.most = 0

    def prepare(self, request: Request) -> object:
        return request

    async def ask(self, prepared: object) -> Response:
        assert isinstance(prepared, Request)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.02)
        self.under_way -= 1
        if prepared.id == "broken":
            raise ZeroDivisionError
        return Response(Status.OK, prepared.id)

    async def close(self) -> None:
        pass


def request(index: int) -> Request:
    return Request(str(index), (), 1)


def test_an_open_loop_sends_at_its_times_whatever_is_unanswered() -> None:
    runner, outcomes = Slow(), list[Outcome]()
    asyncio.run(run_open(runner, request, [0.0, 0.0, 0.0, 0.001, 0.05], outcomes.append))
    assert sorted(outcome.response.text or "" for outcome in outcomes) == ["0", "1", "2", "3", "4"]
    assert runner.most == 4
    assert all(outcome.due_s <= outcome.sent_s <= outcome.ended_s for outcome in outcomes)


@given(count=st.integers(1, 9), concurrency=st.integers(1, 12))
def test_a_closed_loop_keeps_so_many_under_way(count: int, concurrency: int) -> None:
    runner, outcomes = Slow(), list[Outcome]()
    asyncio.run(run_closed(runner, request, count, concurrency, outcomes.append))
    assert sorted(outcome.index for outcome in outcomes) == list(range(count))
    assert runner.most == min(count, concurrency)


def test_nothing_is_sent_when_its_time_is_over() -> None:
    outcomes = list[Outcome]()
    asyncio.run(run_closed(Slow(), request, 1000, 2, outcomes.append, within_s=0.5))
    assert 2 <= len(outcomes) < 1000
    requests = [StreamRequest(Conversation("c", "c", "", ()), 0, (), Warmth.COLD, 0, 0)] * 50
    arrivals = Arrivals.read("constant", 10.0)
    assert LoadOptions(arrivals, duration=2.0).times(requests, 0, "w") == pytest.approx(np.arange(21) / 10)
    assert LoadOptions(concurrency=2, duration=2.0).times(requests, 0, "w") is None


def test_what_goes_wrong_is_raised_and_not_waited_for() -> None:
    with pytest.raises(ExceptionGroup):
        asyncio.run(run_open(Slow(), lambda index: Request("broken", (), 1), [0.0, 60.0], print))


class OneByOne:
    """A runner of the engine's kind."""

    label = "one"

    def answer(self, asked: Request) -> Response:
        return Response(Status.OK, asked.id, timing=Timing(ttft_ms=5.0, prefill_ms=5.0))

    def reset(self) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {}


def test_waiting_in_line_is_a_part_of_the_time_to_first_token() -> None:
    async def ask() -> list[Response]:
        queued = Queued(OneByOne())
        try:
            return await asyncio.gather(*(queued.ask(queued.prepare(request(index))) for index in range(5)))
        finally:
            await queued.close()

    for response in asyncio.run(ask()):
        assert response.timing is not None
        assert response.timing.queue_ms is not None
        assert response.timing.queue_ms > 0
        assert response.timing.ttft_ms == response.timing.queue_ms + 5.0


def test_the_client_knows_its_ceiling() -> None:
    assert measure_ceiling(lambda: b"{}" * 1000, 4) > 1


def records(lags: list[float], gap_ms: float = 100.0, ttft_ms: float = 50.0) -> pd.DataFrame:
    usual = Record(
        key="k",
        workload="w",
        request="r",
        runner="a",
        cluster_id="c",
        family="f",
        order=0,
        warmth=Warmth.COLD,
        recurring_media=0,
        content_share=None,
        status=Status.OK,
        error=None,
        answer="x y",
        gold=(),
        token_ids=(1, 2, 3),
        score=None,
        timing=Timing(ttft_ms=ttft_ms, decode_ms=20.0),
    )
    return to_frame(
        replace(usual, request=str(index), cluster_id=str(index), load=Load(index * gap_ms, lag, 70.0))
        for index, lag in enumerate(lags)
    )


def test_rates_goodput_and_time_per_token_are_those_of_the_records() -> None:
    values = load_values(records([0.0] * 11), Slo(ttft_ms=60, tpot_ms=10), 0.05)
    assert values["throughput_rps"] == pytest.approx(11 / 1.07)
    assert values["goodput_rps"] == values["throughput_rps"]
    assert (values["tpot_ms_p50"], values["e2e_ms_p50"], values["slo_share"]) == (10.0, 70.0, 1.0)
    assert values["ttft_ms_p50_ci_low"] == values["ttft_ms_p50_ci_high"] == 50.0
    assert values["goodput_rps_ci_low"] < values["goodput_rps"] == values["goodput_rps_ci_high"]
    assert load_values(records([0.0] * 11), Slo(ttft_ms=49), 0.05)["goodput_rps"] == 0
    assert load_values(records([0.0] * 11), Slo(tpot_ms=9.9), 0.05)["slo_share"] == 0


def test_times_have_intervals_at_each_percentile_and_a_high_one_of_few_requests_no_upper_end() -> None:
    frame = records([0.0] * 300)
    frame["ttft_ms"] = np.random.default_rng(0).permutation(np.arange(1.0, 301.0))
    frame["load_e2e_ms"] = frame["ttft_ms"] + 20
    values = load_values(frame.sample(frac=1, random_state=0), Slo(ttft_ms=270), 0.05)
    in_order = load_values(frame, Slo(ttft_ms=270), 0.05)
    assert values == in_order, "requests are taken in the order in which they were sent"
    for name, middle in (("ttft_ms", 0.0), ("e2e_ms", 20.0)):
        for rank in (50, 90, 99):
            ends = values[f"{name}_p{rank}_ci_low"], values[f"{name}_p{rank}_ci_high"]
            assert ends[0] < middle + 3 * rank
            assert ends[1] is None if rank == 99 else ends[1] > middle + 3 * rank
    assert values["tpot_ms_p99_ci_low"] == 10.0
    assert 0.8 < values["goodput_rps_ci_low"] / values["throughput_rps"] < 0.9


def test_the_table_of_times_shows_what_is_known_of_each_end() -> None:
    times = replace(
        row("a", 1.0, 50.0, 1.0),
        throughput_rps=1.0,
        ttft_ms_p50_ci_low=49.0,
        ttft_ms_p50_ci_high=51.0,
        ttft_ms_p99=90.0,
        ttft_ms_p99_ci_low=85.0,
    )
    (first, *_) = times_table([times, row("b", 1.0, 50.0, 1.0)]).rows
    assert first == ["w", "a@rate=1", "to first token", "50.0 [49,51]", "-", "90.0 [85,]"]


def told(frame: pd.DataFrame, slo: Slo | None, alpha: float) -> dict[str, Any]:
    return load_values(frame, slo, alpha) | {"runner": "a"}


def test_a_client_that_was_late_or_the_bottleneck_gives_no_verdict() -> None:
    load = LoadDescription(request_rate=10.0, ceiling_rps=1000.0)
    assert missed(told(records([0.0] * 200), None, 0.05), load) is None
    assert "more than 10 ms late" in str(missed(told(records([0.0] * 197 + [11.0] * 3), None, 0.05), load))
    drifting = [index * 1.5 / 200 * 6 for index in range(200)]
    assert missed(told(records(drifting, gap_ms=1.0), None, 0.05), load) is not None
    bound = replace(load, ceiling_rps=19.0)
    assert "can send 19 requests a second" in str(missed(told(records([0.0] * 200), None, 0.05), bound))
    assert missed(told(records([0.0] * 200), None, 0.05), None) is None


def row(family: str, rate: float, ttft: float | None, kept: float | None) -> Row:
    return Row(
        runner=f"{family}@rate={rate:g}",
        workload="w",
        model="m",
        device="cpu",
        dtype="float32",
        requests=9,
        failed=0,
        fallbacks=0,
        margin=0.02,
        alpha=0.05,
        ttft_ms_p50=ttft,
        slo_share=kept,
    )


@pytest.mark.parametrize(
    ("ttft", "kept", "knee"),
    [
        ([10, 12, 19, 30], [None] * 4, 4.0),
        ([10, 25, 12, 11], [None] * 4, 1.0),
        ([10, None, 12, 11], [None] * 4, 1.0),
        ([10, 10, 10, 10], [1.0, 0.99, 0.98, 1.0], 2.0),
        ([10, 10, 10, 10], [0.5, 1.0, 1.0, 1.0], None),
    ],
)
def test_the_knee_is_where_the_objective_is_first_missed_or_the_first_token_comes_twice_as_late(
    tmp_path: Path, ttft: list[float | None], kept: list[float | None], knee: float | None
) -> None:
    at = (1.0, 2.0, 4.0, 8.0)
    rows = [row("a", *place) for place in zip(at, ttft, kept, strict=True)][::-1]
    rates = {mine.runner: AtRate("a", rate) for mine, rate in zip(rows, at[::-1], strict=True)}
    found = knees(rows, rates, {})
    assert found == [Knee("a", knee)]
    (file,) = draw_load(rows, rates, {"w": found}, tmp_path / "plots")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_sweep_over_rates_asks_every_runner_at_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    usual = ["sweep", "--workload", "doc-qa", "--samples", "3", "--warmup", "0", "--output", str(run)]
    assert main([*usual, "--runner", "full", "--request-rate", "40,20", "--arrivals", "burst:3"]) == 0
    told = capsys.readouterr()
    assert "full@rate=20 *" in told.out
    assert "full keeps up to" in told.err
    assert (run / "plots" / "load-doc-qa.png").is_file()
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert manifest["config"]["reference"] == "full@rate=20"
    assert manifest["load"]["rates"]["full@rate=40"] == {"family": "full", "rate": 40.0}


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (("--request-rate", "1", "--concurrency", "2"), "exclude each other"),
        (("--slo", "ttft=5"), "--slo is about answers under load"),
        (("--duration", "5"), "--duration is about answers under load"),
        (("--arrivals", "constant"), "--arrivals is about answers under load"),
        (("--arrivals", "constant", "--concurrency", "2"), "--concurrency sends when an answer came"),
        (("--request-rate", "1", "--until-decided"), "--until-decided asks runners side by side"),
        (("--request-rate", "0"), "request-rate"),
        (("--request-rate", "1", "--arrivals", "often"), "must be poisson, constant, gamma:CV"),
        (("--concurrency", "0"), "concurrency"),
        (("--arrivals", "trace"), "the requests of 'doc-qa' have no times"),
        (("--arrivals", "trace", "--concurrency", "2"), "has times of its own"),
        (("--arrivals", "trace:0"), "must be trace:SPEED with a number above 0"),
        (("--request-rate", "1", "--slo", "ttft"), "must be like ttft=500,tpot=50"),
    ],
)
def test_settings_of_load_that_cannot_be_are_told(
    refused: Callable[..., str], arguments: tuple[str, ...], mistake: str
) -> None:
    assert mistake in refused(*arguments)


def test_a_run_under_load_is_kept_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    usual = ["bench", "--workload", "doc-qa", "--samples", "4", "--warmup", "0", "--output", str(run)]
    assert main([*usual, "--runner", "full,full-reuse", "--concurrency", "2", "--slo", "ttft=60000", "--wide"]) == 0
    out = capsys.readouterr().out
    assert "under load" in out
    assert "for each token behind it" in out
    found = [json.loads(line) for line in (run / "records.jsonl").read_text("utf-8").splitlines()]
    assert len(found) == 8
    assert [record["runner"] for record in found] == ["full"] * 4 + ["full-reuse"] * 4
    assert all(record["load"]["e2e_ms"] > 0 and record["timing"]["queue_ms"] >= 0 for record in found)
    assert main(["report", str(run), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["summary"]
    assert [row["slo_share"] for row in rows] == [1.0, 1.0]
    assert main([*usual, "--runner", "full,full-reuse", "--concurrency", "2", "--resume"]) == 2
