"""Tasks as lm-eval reads them, made of the project's own workloads, and a runner that repeats what it was asked."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import lm_eval.evaluator
import pytest
import yaml
from lm_eval.api.instance import Instance
from PIL import Image

from runners.base import Request, Response
from runners.lm_eval.prompt import PLACEHOLDER
from runners.records import CacheStats, Status, Timing
from workloads.base import StreamOptions
from workloads.records import Conversation, Message, Turn, media_in
from workloads.registry import load_workload

NEW_TOKENS = 4
GENERATION: dict[str, Any] = {"until": ["\n"], "max_gen_toks": NEW_TOKENS}
EXACT = [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}]


@dataclass(frozen=True)
class Tasks:
    """A folder for ``--include_path``, and what each of its tasks asks, as a runner is asked.

    ``cards`` asks about three pictures under a system message, ``pages`` about three or four that recur, ``words``
    about none.
    """

    folder: Path
    requests: Mapping[str, Sequence[Request]]


@dataclass
class Echo:
    """Answers with what it was asked, in lines; what was stored is what was asked since the last reset.

    Attributes:
        failing: status of the requests that fail, by their name.
    """

    failing: Mapping[str, Status] = field(default_factory=dict)
    label: str = "echo"
    asked: list[Request] = field(default_factory=list)
    resets: int = 0

    def answer(self, request: Request) -> Response:
        self.asked.append(request)
        status = self.failing.get(request.id, Status.OK)
        if status is not Status.OK:
            return Response(status, error=f"{request.id} fails")
        media = len(media_in(request.messages))
        timing = Timing(len(self.asked), 0, 0, 0, 0, 0, 0, 0, 0, 0)
        cache = CacheStats(media, media, media, 0, 9, 9, 0, 0, 0, 5, 1.0, 1.0, 0, None)
        return Response(Status.OK, f"{request.id}\nsecond line", timing=timing, cache=cache)

    def reset(self) -> None:
        self.resets += 1

    def describe(self) -> dict[str, Any]:
        return {"label": self.label}


@pytest.fixture(scope="session", autouse=True)
def _no_survey() -> Iterator[None]:
    """lm-eval looks over the machine after every evaluation, for seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lm_eval.evaluator, "add_env_info", lambda results: None)
        yield


@pytest.fixture(scope="session")
def ask() -> Callable[..., Instance]:
    """Makes what lm-eval asks a model: a context and its pictures."""

    def make(
        context: str,
        pictures: Sequence[object] = (),
        number: int = 0,
        task: str = "cards",
        generation: Mapping[str, Any] = GENERATION,
    ) -> Instance:
        more = ({"visual": list(pictures)},) if pictures else ()
        return Instance("generate_until", {}, (context, dict(generation), *more), 0, (task, number, 1))

    return make


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Tasks:
    folder = tmp_path_factory.mktemp("tasks")
    cards, pages = _conversations("binding"), _conversations("doc-qa")
    _write_parquet(folder, "cards", [talk.turns[0] for talk in cards], cards[0].system)
    _write_parquet(folder, "pages", [talk.turns[0] for talk in pages])
    questions = ["Count the pictures.", "Compare the pictures."]
    _write_jsonl(folder, "words", questions)
    return Tasks(
        folder,
        {
            "cards": [_request(f"cards/{number}", talk.prompt(0)) for number, talk in enumerate(cards)],
            "pages": [
                _request(f"pages/{number}", (Message("user", talk.turns[0].content),))
                for number, talk in enumerate(pages)
            ],
            "words": [
                _request(f"words/{number}", (Message("user", (text,)),)) for number, text in enumerate(questions)
            ],
        },
    )


def _conversations(workload: str) -> list[Conversation]:
    return list(load_workload(workload).conversations(StreamOptions(3)))


def _request(name: str, messages: tuple[Message, ...]) -> Request:
    return Request(name, messages, NEW_TOKENS)


def _write_parquet(folder: Path, name: str, turns: Sequence[Turn], system: str = "") -> None:
    rows = [
        {
            "question": "".join(part if isinstance(part, str) else PLACEHOLDER for part in turn.content),
            "images": [Image.open(io.BytesIO(medium.data)) for medium in turn.media],
            "answer": turn.answer.accepted[0],
        }
        for turn in turns
    ]
    text = datasets.Value("string")
    features = datasets.Features({"question": text, "images": datasets.List(datasets.Image()), "answer": text})
    datasets.Dataset.from_list(rows, features=features).to_parquet(folder / f"{name}.parquet")
    _write_task(folder, name, "parquet", doc_to_image="images", description=system)


def _write_jsonl(folder: Path, name: str, questions: Sequence[str]) -> None:
    lines = (json.dumps({"question": question, "answer": "none"}) for question in questions)
    (folder / f"{name}.json").write_text("\n".join(lines))
    _write_task(folder, name, "json")


def _write_task(folder: Path, name: str, kind: str, **more: str) -> None:
    source = {"data_files": {"test": str(folder / f"{name}.{kind}")}, "cache_dir": str(folder / "cache")}
    task = {
        "task": name,
        "dataset_path": kind,
        "dataset_kwargs": source,
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "answer",
        "generation_kwargs": GENERATION,
        "metric_list": EXACT,
        **more,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task))
