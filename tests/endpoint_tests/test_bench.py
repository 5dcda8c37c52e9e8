"""`vlcache bench` on servers: answers, states, hits, faults, secrets and resumption, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vlcache_cli.app import main

Bench = Callable[..., tuple[int, str]]


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    """Run the command; its exit code and what it told."""

    def run(*arguments: str, samples: int = 4, output: str = "run") -> tuple[int, str]:
        usual = ("--workload", "doc-qa", "--samples", str(samples), "--warmup", "0", "--output", str(tmp_path / output))
        code = main(["bench", *usual, *arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def records_in(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text("utf-8").splitlines()]


def arms(script: Any, *states: str) -> list[str]:
    return [word for state in states for word in ("--runner", f"endpoint@url={script.url},state={state},name={state}")]


@pytest.fixture
def cached(script: Any) -> Any:
    """The server with caches that it counts."""
    script.answer = script.from_caches
    return script


def test_cold_same_image_and_repeat_are_made_and_checked(cached: Any, bench: Bench, tmp_path: Path) -> None:
    code, told = bench(*arms(cached, "cold", "same-image", "repeat"), "--reference", "cold", "--wide")
    assert code == 0, told
    records = records_in(tmp_path / "run")
    warm = {record["runner"]: record["served"] for record in records if record["warmth"] == "warm"}
    assert {name: (served["state"], served["checked"], served["invalid"]) for name, served in warm.items()} == {
        name: (name, True, None) for name in ("cold", "same-image", "repeat")
    }
    hits = {name: (served["cached_tokens"], served["preprocessing_hits"]) for name, served in warm.items()}
    media = warm["cold"]["media"]
    assert hits == {"cold": (0, 0), "same-image": (0, media), "repeat": (16 + 100 * media, media)}
    assert {record["served"]["state"] for record in records if record["warmth"] == "cold"} == {"cold"}
    assert "what the servers had cached" in told
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))
    assert manifest["model"]["name"] == "tiny"
    assert manifest["runners"][0]["server"] == {
        "served": "tiny",
        "version": "0.32.0",
        "takes": ["stream_options", "seed"],
        "ignores_unknown_fields": True,
        "counts": ["prefix_tokens", "preprocessing_hits"],
        "resets": ["/reset_prefix_cache", "/reset_mm_cache"],
        "gives_logprobs": None,
    }


def test_a_warm_cache_called_cold_is_invalid_and_no_evidence(cached: Any, bench: Bench, tmp_path: Path) -> None:
    cached.empties = False
    code, told = bench(*arms(cached, "repeat", "cold"), "--reference", "repeat", "--json")
    assert code == 0, told
    document = json.loads(told[told.index("{") : told.rindex("}") + 1])
    rows = {row["runner"]: row for row in document["summary"]}
    assert rows["cold"]["invalid"] > 0
    assert rows["cold"]["ttft_speedup"] is None
    assert rows["cold"]["verdict"] is None
    (notice,) = [
        notice for notice in document["notices"] if notice["kind"] == "invalid-state" and notice["runner"] == "cold"
    ]
    assert "answers are no evidence: named cold, but" in notice["text"]


def test_without_counters_states_are_said_to_be_unchecked(script: Any, bench: Bench) -> None:
    code, told = bench(*arms(script, "cold", "repeat"), "--reference", "cold", "--json")
    assert code == 0
    assert '"unchecked-state"' in told
    assert '"invalid-state"' not in told


def test_a_server_that_keeps_its_caches_cannot_be_made_cold(script: Any, bench: Bench, tmp_path: Path) -> None:
    script.caches = False
    code, told = bench(*arms(script, "cold"), "--reference", "cold")
    assert code == 2
    assert "does not let its caches be emptied, so state=cold cannot be made" in told
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_beside_a_method_a_server_is_a_runner_like_any(script: Any, bench: Bench, tmp_path: Path) -> None:
    code, told = bench("--runner", "full", "--runner", f"endpoint@url={script.url},name=server")
    assert code == 0, told
    by_runner = {record["runner"]: record for record in records_in(tmp_path / "run")}
    assert by_runner["full"]["served"] is None
    assert by_runner["server"]["agrees"] in (True, False)
    assert by_runner["server"]["kl"] is None
    assert by_runner["server"]["cache"] is None
    timing = by_runner["server"]["timing"]
    assert timing["ttft_ms"] > 0
    assert timing["prefill_ms"] is timing["store_ms"] is None, "unknown is no 0"


def test_two_runners_on_one_server_must_not_disturb_each_other(script: Any, bench: Bench) -> None:
    code, told = bench(*arms(script, "stream", "cold"), "--reference", "cold")
    assert code == 2
    assert "runner 'stream' shares" in told
    assert not script.paths


def test_divergence_comes_from_log_probabilities(script: Any, bench: Bench, tmp_path: Path) -> None:
    def answer(document: dict[str, Any]) -> list[Any]:
        alternatives = [{"token": "4", "logprob": -0.5}, {"token": "5", "logprob": -1.5}]
        choice = {
            "delta": {"content": "4"},
            "logprobs": {"content": [{**alternatives[0], "top_logprobs": alternatives}]},
        }
        return [json.dumps({"choices": [choice]}), '{"choices": [{"delta": {}, "finish_reason": "stop"}]}', "[DONE]"]

    script.answer = answer
    options = f"endpoint@url={script.url},state=cold,logprobs=20"
    arguments = ("--runner", f"{options},name=a", "--runner", f"{options},name=b", "--reference", "a", "--wide")
    code, told = bench(*arguments)
    assert code == 0, told
    assert "KL is a lower bound, up to 17.0 % of the probability was not told" in " ".join(told.split())
    assert {(d.get("logprobs"), d.get("top_logprobs")) for d in script.asked} == {(True, 20)}
    (one, *_) = [record for record in records_in(tmp_path / "run") if record["runner"] == "b"]
    assert one["kl"] == 0
    assert one["served"]["unseen_mass"] == pytest.approx(1 - 0.6065 - 0.2231, abs=1e-3)


def test_failures_are_records_and_exit_4_and_nothing_is_asked_twice(script: Any, bench: Bench, tmp_path: Path) -> None:
    usual = script.answer

    def refuse(document: dict[str, Any]) -> tuple[int, str, str] | None:
        broken = len(script.asked) == 2
        return (500, "text/plain", "Internal\x1b[31m Server Error") if broken else None

    script.refuse, script.answer = refuse, usual
    code, told = bench("--runner", f"endpoint@url={script.url},name=s", "--reference", "s")
    assert code == 4
    records = records_in(tmp_path / "run")
    assert [record["status"] for record in records] == ["ok", "error", "ok", "ok"]
    assert records[1]["error"].startswith("HTTP 500: Internal")
    assert "\x1b" not in told
    assert len(script.asked) == 4


def test_fields_that_a_server_refuses_are_not_sent(script: Any, bench: Bench, tmp_path: Path) -> None:
    known = {"model", "messages", "max_tokens", "temperature", "stream"}
    script.refuse = lambda document: (
        (422, "application/json", '{"detail": "Unexpected"}') if document.keys() - known else None
    )
    code, told = bench("--runner", f"endpoint@url={script.url},name=s", "--reference", "s")
    assert code == 0, told
    assert all(document.keys() == known for document in script.asked)
    server = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))["runners"][0]["server"]
    assert (server["takes"], server["ignores_unknown_fields"]) == ([], False)


def test_the_key_is_sent_and_kept_nowhere(
    script: Any, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    code, told = bench("--runner", f"endpoint@url={script.url},name=s", "--reference", "s", "--api-key-env", "MY_KEY")
    assert code == 0
    assert {headers["authorization"] for headers in script.headers} == {"Bearer sk-very-secret"}
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"very-secret" not in kept + told.encode()


@pytest.mark.parametrize(
    ("spec", "more", "mistake"),
    [
        ("endpoint", (), "give option 'url', which has no default: endpoint@url=VALUE"),
        ("endpoint@url=localhost:8000", (), "url must be like http://127.0.0.1:8000/v1"),
        ("endpoint@url=http://127.0.0.1:9/v1", (), "no server at http://127.0.0.1:9/v1/models: "),
        ("endpoint@url={url},served=other", (), "does not serve 'other': tiny"),
        ("endpoint@url={url},state=warm", (), "state must be one of stream, cold, same-image, repeat, not 'warm'"),
        (
            "endpoint@url={url}",
            ("--api-key-env", "NO_SUCH_KEY"),
            "there is no such environment variable, or it is empty",
        ),
        ("endpoint@url={url}", ("--timeout", "0"), "timeout"),
    ],
)
def test_a_server_that_cannot_be_asked_is_one_line_and_exit_2(
    script: Any, bench: Bench, tmp_path: Path, spec: str, more: tuple[str, ...], mistake: str
) -> None:
    label = spec.format(url=script.url)
    code, told = bench("--runner", label, "--reference", label, *more)
    assert code == 2, told
    assert mistake in " ".join(told.split())
    assert not (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize(
    "models", ["", "[]", '{"data": [{"id": 4}]}', '{"data": [{"id": "a"}, {"id": "b"}]}', "[" * 10_000]
)
def test_a_list_of_models_that_says_too_little_asks_for_the_name(script: Any, bench: Bench, models: str) -> None:
    script.models = models
    code, told = bench("--runner", f"endpoint@url={script.url},name=s", "--reference", "s")
    assert code == 2
    assert "say which one with served=NAME" in " ".join(told.split())
    code, told = bench("--runner", f"endpoint@url={script.url},served=b,name=s", "--reference", "s", output="again")
    assert code == 0, told


def test_a_run_on_a_server_goes_on_where_it_stopped(script: Any, bench: Bench, tmp_path: Path) -> None:
    arguments = ("--runner", f"endpoint@url={script.url},name=s", "--reference", "s")
    assert bench(*arguments)[0] == 0
    lines = (tmp_path / "run" / "records.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "run" / "records.jsonl").write_bytes(b"".join(lines[:2]))
    assert bench(*arguments, "--resume")[0] == 0
    keys = [record["key"] for record in records_in(tmp_path / "run")]
    assert len(keys) == len(set(keys)) == 4


def test_under_load_servers_answer_at_once_and_their_counters_are_left_alone(
    cached: Any, bench: Bench, tmp_path: Path
) -> None:
    arguments = ("--runner", f"endpoint@url={cached.url},name=s", "--reference", "s", "--concurrency", "3")
    code, told = bench(*arguments, samples=9)
    assert code == 0, told
    records = records_in(tmp_path / "run")
    assert len(records) == len(cached.asked) == 9
    assert all(record["served"]["cached_tokens"] is not None for record in records)
    assert all(record["served"]["preprocessing_hits"] is None for record in records)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))["load"]["ceiling_rps"] > 0
    code, told = bench(*arms(cached, "cold"), "--reference", "cold", "--concurrency", "3", output="other")
    assert code == 2
    assert "for which load leaves no time" in " ".join(told.split())


def test_profile_and_lm_eval_take_no_server(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--runner", f"endpoint@url={script.url}"]) == 2
    assert "--runner names a server" in capsys.readouterr().err
