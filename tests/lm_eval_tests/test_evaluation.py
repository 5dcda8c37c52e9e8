"""lm-eval itself over the embedded model: what it is told is what the runner answers when it is asked directly."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from runners.base import Response
from runners.defaults import RunnerDefaults
from runners.lm_eval.runner import RunnerLM
from runners.local import build_runner
from runners.models.load import LoadedModel, load_model, resolve_model
from runners.records import Status
from runners.registry import parse_specs
from workloads.records import media_in

RUNNERS = ("full", "vlcache")
NAMES = ("pages", "words", "cards")  # neither the order of the alphabet nor that of the files


@dataclass(frozen=True)
class Evaluated:
    """One evaluation, and the same requests put to a runner of its own."""

    model: RunnerLM
    results: dict[str, Any]
    direct: Sequence[Response]


@pytest.fixture(scope="module")
def embedded() -> LoadedModel:
    return load_model("builtin", resolve_model("builtin"), "float32", "cpu")


@pytest.fixture(scope="module")
def manager(tasks: Any) -> TaskManager:
    return TaskManager(include_path=str(tasks.folder), include_defaults=False)


@pytest.fixture(scope="module")
def _no_sockets() -> Iterator[None]:
    """No socket at all: not even this machine is asked for anything."""

    def refuse(*arguments: object, **options: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


@pytest.fixture(scope="module", params=RUNNERS)
def evaluated(
    request: pytest.FixtureRequest, embedded: LoadedModel, manager: TaskManager, tasks: Any, _no_sockets: None
) -> Evaluated:
    (spec,) = parse_specs([request.param], RunnerDefaults())
    model = RunnerLM(build_runner(spec, embedded))
    results = simple_evaluate(model, tasks=list(NAMES), task_manager=manager, apply_chat_template=True)
    runner = build_runner(spec, embedded)
    return Evaluated(model, results, [runner.answer(asked) for name in NAMES for asked in tasks.requests[name]])


def test_every_answer_is_the_runners_own(evaluated: Evaluated, tasks: Any) -> None:
    told = [sample["resps"] for name in NAMES for sample in evaluated.results["samples"][name]]
    assert told == [[[str(response.text).split("\n")[0]]] for response in evaluated.direct]
    assert all(response.status is Status.OK for response in evaluated.direct)
    assert [len(evaluated.results["samples"][name]) for name in NAMES] == [3, 2, 3]
    assert any(answer != [[""]] for answer in told)


def test_every_sample_is_timed_and_found_again_in_the_log(evaluated: Evaluated) -> None:
    logged = [
        (name, sample["doc_id"], sample["prompt_hash"])
        for name in NAMES
        for sample in evaluated.results["samples"][name]
    ]
    assert [(item.task, item.doc_id, item.prompt_hash) for item in evaluated.model.timings] == logged
    assert all(item.timing is not None and item.timing.ttft_ms > 0 for item in evaluated.model.timings)


def test_what_is_reused_is_what_is_reused_directly(evaluated: Evaluated) -> None:
    caches = [item.cache for item in evaluated.model.timings]
    assert caches == [response.cache for response in evaluated.direct]
    hits = sum(cache.kv_hits for cache in caches if cache is not None)
    assert hits > 0 if evaluated.model.runner.label == "vlcache" else hits == 0
    summary = evaluated.results["config"]["vlcache"]["summary"]
    assert (summary["samples"], summary["failed"], summary["kv_hits"]) == (8, 0, hits)


def test_a_prompt_has_all_pictures_of_its_document(evaluated: Evaluated, tasks: Any) -> None:
    pictures = [len(media_in(request.messages)) for name in NAMES for request in tasks.requests[name]]
    assert [item.media for item in evaluated.model.timings] == pictures
    assert set(pictures) >= {0, 3}


def test_without_a_chat_template_a_context_is_what_the_user_says(
    embedded: LoadedModel, manager: TaskManager, tasks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (spec,) = parse_specs(["encoder-cache"], RunnerDefaults())
    model = RunnerLM(build_runner(spec, embedded), warmup=0)
    results = simple_evaluate(model, tasks=["pages"], task_manager=manager, limit=1)
    expected = build_runner(spec, embedded).answer(tasks.requests["pages"][0])
    assert results["samples"]["pages"][0]["resps"] == [[str(expected.text).split("\n")[0]]]
    assert "one user message each" in caplog.text
