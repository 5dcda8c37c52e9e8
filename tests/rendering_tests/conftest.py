"""A small saved sweep whose every number is fixed: two workloads, four runners, some changed answers, one failure."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from reports.forms.form import ReportOptions
from reports.report_file import write
from reports.run.changed_answers import content_name
from reports.runs import Run, read_runs
from runners.records import CacheStats, ComputedMedium, Record, Status, Timing, Warmth

SaveRun = Callable[..., Path]

SPEED = {"full": 1.0, "prefix-cache": 0.5, "vlcache@ratio=0": 0.125, "vlcache@ratio=0.5": 0.25}
RATIO = {"full": 1.0, "prefix-cache": 1.0, "vlcache@ratio=0": 0.0, "vlcache@ratio=0.5": 0.5}
WRONG = {("binding", 3, "vlcache@ratio=0"), ("binding", 5, "vlcache@ratio=0"), ("video", 6, "vlcache@ratio=0.5")}
REQUESTS = 8
LAYERS = 4


def manifest() -> dict[str, Any]:
    """As ``vlcache sweep`` writes it."""
    return {
        "schema": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "config": {"reference": "full", "seed": 7, "workload": ["binding", "video"]},
        "seed": 7,
        "workloads": {"binding": "b" * 64, "video": "c" * 64},
        "model": {
            "name": "builtin",
            "fingerprint": "f" * 64,
            "dtype": "float32",
            "device": "cpu",
            "device_name": "a machine",
            "threads": 1,
        },
        "runners": [
            {
                "label": label,
                "method": label.partition("@")[0],
                "lossless": "@" not in label,
                "options": {"donor": "previous"},
            }
            for label in SPEED
        ],
        "environment": {
            "python": "3.11.0",
            "platform": "a platform",
            "cpus": 2,
            "libraries": {"vlcache": "0.1.0", "torch": "2.13.0"},
            "git_commit": None,
        },
        "sweep": {
            "ratios": [0.0, 0.5],
            "runners": {
                label: {"family": label.partition("@")[0], "ratio": RATIO[label] if "@" in label else None}
                for label in SPEED
            },
        },
    }


def records() -> Iterator[Record]:
    """Eight requests of each workload, about four pictures or clips; the first two requests are cold."""
    for workload in ("binding", "video"):
        for number in range(REQUESTS):
            for order, label in enumerate(SPEED):
                yield _record(workload, number, order, label)


def _record(workload: str, number: int, order: int, label: str) -> Record:
    cold = number < 2
    wrong = (workload, number, label) in WRONG
    ttft = 64.0 + 4 * number if cold else (64.0 + 4 * number) * SPEED[label]
    computed = 1.0 if cold else RATIO[label]
    tokens, frames = (24, 2) if workload == "video" else (12, 1)
    depths = [LAYERS if place < computed * tokens else 0 for place in range(tokens)]
    hit = 0 if cold or label == "full" else 1
    record = Record(
        key=f"{workload}/q{number}/{label}",
        workload=workload,
        request=f"q{number}",
        runner=label,
        cluster_id=f"{workload}/{number % 4}",
        family="only",
        order=order,
        warmth=Warmth.COLD if cold else Warmth.WARM,
        recurring_media=0 if cold else 1,
        content_share=0.5,
        status=Status.OK,
        error=None,
        answer="no" if wrong else "yes",
        gold=("yes",),
        token_ids=(5, 9, 2) if wrong else (5, 8, 2),
        score=0.0 if wrong else 1.0,
        kl=0.25 if wrong else 0.0,
        agrees=not wrong,
        timing=Timing(ttft, ttft / 8, ttft / 8, ttft / 4, 0.0, 0.0, ttft / 4, ttft / 4, 1.0, 0.5),
        cache=CacheStats(
            1, hit, hit, hit if "@" in label else 0, 20, tokens, 0, sum(depths), sum(depths), LAYERS,
            1e6 * max(computed, 0.125), 1e6, 4096, 256.0 if "@" in label else None,
        ),
        computed=(ComputedMedium.of((frames, 3, 4), depths),),
    )  # fmt: skip
    if (workload, number, label) == ("video", 7, "prefix-cache"):
        return replace(
            record,
            status=Status.OUT_OF_MEMORY,
            error="no room",
            answer=None,
            token_ids=(),
            score=0.0,
            kl=None,
            agrees=None,
            timing=None,
            cache=None,
            computed=(),
        )
    return record


def asked() -> Iterator[dict[str, Any]]:
    for workload, number in (("binding", 3), ("binding", 5), ("video", 6), ("video", 7)):
        kind, file = ("video", clip()) if workload == "video" else ("image", picture())
        yield {
            "workload": workload,
            "request": f"q{number}",
            "question": f"Is {number} in the {kind}?",
            "media": [{"kind": kind, "name": f"{kind} {number}", "file": content_name(file)}],
            **({"answer_begins": "It is"} if number == 5 else {}),
        }


def picture() -> bytes:
    """A PNG file of 40x30 pixels."""
    image = Image.new("RGB", (40, 30), "white")
    ImageDraw.Draw(image).rectangle((10, 10, 20, 20), fill="red")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def clip() -> bytes:
    """An APNG file of two frames, red and blue."""
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


def save(
    folder: Path,
    change: Callable[[dict[str, Any]], None] = lambda told: None,
    each: Callable[[Record], Record | None] = lambda record: record,
) -> Path:
    """Write a run folder: what to change in the manifest, and in each record (None leaves it out)."""
    (folder / "media").mkdir(parents=True)
    told = manifest()
    change(told)
    (folder / "manifest.json").write_text(json.dumps(told))
    kept = [changed for record in records() if (changed := each(record)) is not None]
    lines = [json.dumps(record.to_json()) for record in kept]
    (folder / "records.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (folder / "asked.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in asked()))
    for file in (picture(), clip()):
        (folder / "media" / content_name(file)).write_bytes(file)
    return folder


@pytest.fixture
def save_run(tmp_path: Path) -> SaveRun:
    """``save`` in a folder of that name."""
    return lambda name="mine", **other: save(tmp_path / name, **other)


@pytest.fixture(scope="session")
def save_for_all(tmp_path_factory: pytest.TempPathFactory) -> SaveRun:
    """``save`` in a folder of its own, for fixtures that several tests share."""
    return lambda **other: save(tmp_path_factory.mktemp("runs") / "mine", **other)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run as it is."""
    (found,) = read_runs([save(tmp_path_factory.mktemp("runs") / "mine")], 0.02, 0.05)
    return found


@pytest.fixture(scope="session")
def page_text(run: Run) -> str:
    """Its page; rendered once, for that takes a second."""
    return write([run], "html", ReportOptions()).decode()


@pytest.fixture
def two_runs(save_run: SaveRun) -> list[Run]:
    """The second lacks a runner, is of another model, and answers one request right that was wrong."""

    def other(told: dict[str, Any]) -> None:
        told["model"]["fingerprint"] = "e" * 64
        told["environment"]["libraries"]["torch"] = "2.14.0"

    def better(record: Record) -> Record | None:
        if record.runner == "prefix-cache":
            return None
        if record.key != "binding/q3/vlcache@ratio=0":
            return record
        return Record.from_json(record.to_json() | {"answer": "yes", "score": 1.0, "agrees": True})

    return read_runs([save_run("first"), save_run("second", change=other, each=better)], 0.02, 0.05)
