"""Several client processes: together they send what one would, and none of them outlives what goes wrong."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.base import Request
from runners.endpoint.options import Endpoint
from runners.endpoint.under_load import Chat
from runners.load.client import Share, deal
from runners.load.processes import run_together
from vlcache_cli.app import main
from vlcache_cli.jobs.loading import clients_for
from workloads.errors import UsageError
from workloads.records import Message

CHAT = Chat(Endpoint("http://127.0.0.1:9/v1"), "tiny", {})
TIMES = ("timing", "load")
ANSWER = '{"choices": [{"delta": {"content": "4"}}]}'
FINISH = '{"choices": [{"delta": {}, "finish_reason": "stop"}]}'


@given(count=st.integers(0, 40), sent=st.integers(0, 40), clients=st.integers(1, 9), more=st.integers(0, 9))
def test_the_shares_of_all_clients_are_the_one_schedule(count: int, sent: int, clients: int, more: int) -> None:
    requests = [Request(str(index), (), 1) for index in range(count)]
    times = [index / 10 for index in range(min(count, sent))]
    shares = deal(CHAT, requests, times, clients)
    together = sorted(
        (time, index, request.id)
        for share in shares
        for time, index, request in zip(share.times or (), share.indices, share.requests, strict=True)
    )
    assert together == [(time, index, str(index)) for index, time in enumerate(times)]
    closed = deal(CHAT, requests, None, clients, concurrency=clients + more)
    assert sorted(index for share in closed for index in share.indices) == list(range(count))
    assert all(share.concurrency > 0 for share in closed)
    assert sum(share.concurrency for share in closed) == (clients + more if count else 0)


@pytest.mark.parametrize(
    ("rate", "ceiling", "clients"), [(0, 500, 1), (250, 500, 1), (251, 500, 2), (900, 500, 4), (9e9, 500, 8), (1, 0, 8)]
)
def test_so_many_clients_as_are_trusted_with_the_rate(rate: float, ceiling: float, clients: int) -> None:
    assert clients_for(rate, ceiling, processors=8) == clients


def test_two_clients_give_the_records_of_one(script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def records(clients: str) -> dict[str, dict[str, Any]]:
        run = tmp_path / clients
        runner = ("--runner", f"endpoint@url={script.url},name=s", "--reference", "s", "--clients", clients)
        usual = ("bench", "--workload", "doc-qa", "--samples", "9", "--warmup", "0", "--output", str(run))
        assert main([*usual, *runner, "--request-rate", "100", "--arrivals", "constant"]) == 0
        load = json.loads((run / "manifest.json").read_text("utf-8"))["load"]
        assert load["clients"] == int(clients)
        assert load["ceiling_rps"] > 0
        found = [json.loads(line) for line in (run / "records.jsonl").read_text("utf-8").splitlines()]
        assert sorted(record["load"]["due_ms"] for record in found) == pytest.approx([10 * index for index in range(9)])
        assert all(record["load"]["lag_ms"] >= 0 for record in found)
        return {record["key"]: {name: record[name] for name in record if name not in TIMES} for record in found}

    one, two = records("1"), records("2")
    assert len(one) == 9
    assert one == two
    assert len(script.asked) == 18
    assert not multiprocessing.active_children()
    capsys.readouterr()


def shares_of(script: Any, *texts: str, concurrency: int = 1) -> list[Share]:
    """Two clients with so many requests, which come at once, or keep to ``concurrency``."""
    requests = [Request(text, (Message("user", (text,)),) if text else (), 1) for text in texts]
    return deal(Chat(Endpoint(script.url), "tiny", {}), requests, None, 2, concurrency)


def test_a_client_that_is_lost_ends_all(script: Any) -> None:
    script.answer = lambda document: [ANSWER, FINISH, "[DONE]"] if "quick" in json.dumps(document) else [60.0]
    found = run_together("client", shares_of(script, "quick", "slow", "slow", "slow", concurrency=2))
    assert next(found).index == 0
    second = next(process for process in multiprocessing.active_children() if process.name == "client 2 of 2")
    os.kill(second.pid or 0, signal.SIGKILL)
    with pytest.raises(UsageError, match=r"^client 2 of 2 ended too early \(killed by signal 9\)"):
        next(found)
    assert not multiprocessing.active_children()


def test_a_client_that_fails_tells_why(script: Any) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)client 1 of 1 failed.*IndexError"):
        list(run_together("client", shares_of(script, "")))
    assert not multiprocessing.active_children()


def test_clients_end_with_the_one_who_takes_what_they_find(script: Any) -> None:
    script.answer = lambda document: [ANSWER, FINISH, "[DONE]"] if "quick" in json.dumps(document) else [60.0]
    found = run_together("client", shares_of(script, "quick", concurrency=2) + shares_of(script, "slow"))
    next(found)
    assert multiprocessing.active_children()
    found.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        (("--clients", "2"), "--clients is about answers under load"),
        (("--clients", "0", "--concurrency", "2"), "clients"),
        (("--clients", "2", "--concurrency", "2"), "--clients ask servers"),
        (
            ("--clients", "3", "--concurrency", "2", "--runner", "endpoint@url=http://127.0.0.1:9/v1,name=s"),
            "cannot share --concurrency 2",
        ),
    ],
)
def test_clients_that_would_have_nothing_to_do_are_refused(
    refused: Callable[..., str], arguments: tuple[str, ...], mistake: str
) -> None:
    assert mistake in refused(*arguments)
