"""A run of the real engine, killed anywhere and resumed, yields the records of the unbroken one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runners.base import Runner
from runners.defaults import RunnerDefaults
from runners.local import build_runner
from runners.records import Record
from runners.registry import parse_specs
from runners.session import SessionOptions, serve
from workloads.records import Answer, Conversation, Media, Turn

TIGHT = 250_000  # bytes: some media are evicted, so the stores depend on all that was asked


def stream(lab: Any) -> list[Conversation]:
    a, b, broken = lab.picture(0), lab.picture(1), Media("image", b"", "broken.png")

    def conversation(name: str, *contents: tuple[str | Media, ...]) -> Conversation:
        answer = Answer(("yes",), "exact-match")
        turns = (Turn(f"{name}-{i}", content, answer, "family") for i, content in enumerate(contents))
        return Conversation(name, name, "", tuple(turns))

    return [
        conversation("one", ("x ", a), ("and ", b)),
        conversation("two", (b, "y", a)),
        conversation("three", (broken,)),
        conversation("four", ("z", a, b)),
    ]


def group(lab: Any) -> list[Runner]:
    defaults = RunnerDefaults(recompute_ratio=0.2, budget_bytes=TIGHT)
    return [build_runner(spec, lab.model) for spec in parse_specs(["full,prefix-cache,random-k,vlcache"], defaults)]


def test_records_do_not_depend_on_where_a_run_was_broken_off(lab: Any) -> None:
    options = SessionOptions("full", seed=0, max_new_tokens=2, warmup=1)

    def run(finished: list[Record]) -> list[Record]:
        kept = {record.key: record for record in finished}
        return [replace(r, timing=None, peak_bytes=None) for r in serve("work", stream(lab), group(lab), options, kept)]

    unbroken = run([])
    assert len(unbroken) == 5 * 4
    assert any(record.cache and record.cache.fallbacks for record in unbroken)
    for cut in range(len(unbroken) + 1):
        assert run(unbroken[:cut]) == unbroken[cut:]
