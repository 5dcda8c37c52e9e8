"""What one runner computed may be taken over by others, and nothing but times and the mark shows that it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from runners.defaults import RunnerDefaults
from runners.engine.store.entries import MediaEntry, PrefixEntry
from runners.local import LocalRunner, build_runners
from runners.records import Record, Status, Warmth
from runners.registry import parse_specs
from runners.session import COMPUTED_BY_ALL, SessionOptions, serve
from workloads.records import Answer, Conversation, Media, Turn

PLENTY = 1 << 28
OPTIONS = SessionOptions("full", seed=0, max_new_tokens=2, warmup=1)
PROBED = ("vlcache@donor=previous", "vlcache@donor=previous,probe=0")
ALL = [
    "full,encoder-cache,prefix-cache,full-reuse,leading-k,cacheblend,random-k,oracle,vlcache-paper",
    "conduit,prophetkv,kvshare,vlcache",
    "full@chunk=16",
    "prefix-cache@block=16",
    *PROBED,
    "conduit@donor=isolated",
]
BROKEN = Media("image", b"", "broken.png")


def stream(lab: Any, cases: Sequence[int]) -> list[Conversation]:
    """A conversation about two pictures for each number; where one comes back, they stand in the other order.

    A negative number has a broken picture, and then one of those before.
    """

    def conversation(place: int, number: int) -> Conversation:
        a, b = lab.picture(2 * abs(number)), lab.picture(2 * abs(number) + 1, rows=3)
        contents: list[tuple[str | Media, ...]] = [("look: ", a, b)]
        if number in cases[:place]:
            contents = [(b, "and", a, f"? {place}")]
        if number < 0:
            contents = [(BROKEN, "?"), (a, "?")]
        answer = Answer(("yes",), "exact-match")
        turns = (Turn(f"{place}-{turn}", content, answer, "family") for turn, content in enumerate(contents))
        return Conversation(f"{place}", f"{number}", "Be brief.", tuple(turns))

    return [conversation(place, number) for place, number in enumerate(cases)]


def group(lab: Any, specs: Sequence[str], adopt: bool, reference: str = "full", **defaults: Any) -> list[LocalRunner]:
    parsed = parse_specs(specs, RunnerDefaults(recompute_ratio=0.2, **defaults))
    return build_runners(parsed, lab.model, reference, adopt)


def run(
    lab: Any,
    specs: Sequence[str],
    cases: Sequence[int],
    adopt: bool,
    options: SessionOptions = OPTIONS,
    finished: Sequence[Record] = (),
    **defaults: Any,
) -> list[Record]:
    kept = {record.key: record for record in finished}
    runners = group(lab, specs, adopt, options.reference, **defaults)
    return list(serve("work", stream(lab, cases), runners, options, kept))


def untimed(records: Sequence[Record]) -> list[Record]:
    return [replace(record, timing=None, peak_bytes=None, adopted=False) for record in records]


def adopted(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.adopted]


@pytest.fixture(scope="module")
def of_all(lab: Any) -> list[Record]:
    """Records of every runner with adoption: six cold requests, and two warm ones."""
    return run(lab, ALL, [0, 1, 2, 3, 0, 4, 3, 5], adopt=True, options=replace(OPTIONS, warmup=0))


def test_records_of_every_runner_equal_those_of_a_run_without_adoption(lab: Any, of_all: list[Record]) -> None:
    without = run(lab, ALL, [0, 1, 2, 3, 0, 4, 3, 5], adopt=False, options=replace(OPTIONS, warmup=0))
    assert untimed(of_all) == untimed(without)
    assert not adopted(without)
    alone = {
        "full",
        "full@chunk=16",
        "prefix-cache@block=16",
        "vlcache@donor=previous",
        "vlcache@donor=previous,probe=0",
    }
    assert {record.runner for record in adopted(of_all)} >= {record.runner for record in of_all} - alone


@pytest.mark.parametrize(
    ("budget", "host_budget", "strict"),
    [(PLENTY, PLENTY, False), (200_000, PLENTY, True), (200_000, 0, True), (0, 0, False)],
)
def test_records_are_equal_with_tight_stores_broken_pictures_and_a_host_tier(
    lab: Any, budget: int, host_budget: int, strict: bool
) -> None:
    specs, cases = (
        ["encoder-cache,full,prefix-cache,cacheblend,random-k,conduit"],
        [0, 1, -2, 3, 0, -1, 4, 1, 5],
    )
    settings: dict[str, Any] = {"budget_bytes": budget, "host_budget_bytes": host_budget, "strict_reuse": strict}
    with_adoption, without = (run(lab, specs, cases, adopt, **settings) for adopt in (True, False))
    assert untimed(with_adoption) == untimed(without)
    assert adopted(with_adoption)
    assert any(record.status is Status.BAD_MEDIA for record in without)
    assert any(record.status is Status.REUSE_VIOLATED for record in without) == (strict and not host_budget)


@hypothesis_settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    specs=st.lists(st.sampled_from([*",".join(ALL[:2]).split(",")[1:], *ALL[2:]]), min_size=2, max_size=3, unique=True),
    cases=st.lists(st.integers(0, 5), min_size=5, max_size=6),
    budget=st.sampled_from([60_000, 150_000, 400_000, PLENTY]),
    seed=st.integers(0, 9),
)
def test_records_are_equal_for_any_runners_stream_budget_and_seed(
    lab: Any, specs: list[str], cases: list[int], budget: int, seed: int
) -> None:
    options = replace(OPTIONS, seed=seed, warmup=0)
    first, second = (run(lab, ["full", *specs], cases, adopt, options, budget_bytes=budget) for adopt in (True, False))
    assert untimed(first) == untimed(second)


def test_an_adopted_record_has_no_times_and_all_else(of_all: list[Record]) -> None:
    records = adopted(of_all)
    for record in records:
        assert record.timing is None
        assert record.peak_bytes is None
        assert None not in (record.answer, record.cache, record.demand, record.kl, record.agrees)
        assert record.warmth is Warmth.COLD
        assert Record.from_json(record.to_json()).adopted
    old = records[0].to_json()
    del old["adopted"]
    assert not Record.from_json(old).adopted


def test_the_first_cold_requests_all_others_and_the_references_are_computed(of_all: list[Record]) -> None:
    cold = list(dict.fromkeys(record.request for record in of_all if record.warmth is Warmth.COLD))
    assert len(cold) == COMPUTED_BY_ALL + 3
    found = {(record.request, record.runner) for record in adopted(of_all)}
    assert {request for request, _ in found} == set(cold[COMPUTED_BY_ALL:])
    assert not {runner for _, runner in found} & {"full", "full@chunk=16"}
    assert all(record.timing is not None for record in of_all if not record.adopted)


def test_a_reference_that_reuses_is_computed_too(lab: Any) -> None:
    options = replace(OPTIONS, reference="prefix-cache")
    records = run(lab, ["full,prefix-cache,conduit,vlcache"], [0, 1, 2, 3, 4, 5], True, options)
    assert {record.runner for record in adopted(records)} == {"conduit", "vlcache"}


def test_each_kind_of_work_is_computed_once_besides_the_reference(of_all: list[Record]) -> None:
    """Kinds: donors captured with and without a probe, none captured; ``encoder-cache`` has no prefix, as ``full``."""
    for request in {record.request for record in adopted(of_all)}:
        computed = {record.runner for record in of_all if record.request == request and not record.adopted}
        captured = {"full-reuse", "leading-k", "cacheblend", "random-k", "oracle", "vlcache-paper"}
        assert len(computed & captured) <= 1
        assert 1 <= len(computed & {*captured, *PROBED}) <= 3
        assert len(computed & {"prefix-cache", "conduit", "prophetkv", "kvshare", "vlcache"}) <= 1
        assert computed >= {"full", "full@chunk=16"}


def test_a_broken_off_run_is_resumed_with_the_same_records(lab: Any) -> None:
    specs, cases = ["full,prefix-cache,full-reuse,vlcache"], [0, 1, 2, 3, 0, 4]
    unbroken = run(lab, specs, cases, adopt=True, budget_bytes=400_000)
    assert adopted(unbroken)
    marks = [record.adopted for record in unbroken]
    for cut in range(0, len(unbroken) + 1, 9):
        resumed = run(lab, specs, cases, adopt=True, finished=unbroken[:cut], budget_bytes=400_000)
        assert untimed(resumed) == untimed(unbroken[cut:])
        assert [record.adopted for record in resumed] == marks[cut:]


def tensors(runner: LocalRunner) -> dict[str, tuple[int, ...]]:
    """Addresses of everything that a runner's store holds."""
    found: dict[str, tuple[int, ...]] = {}
    for key, entry in runner._engine._stores.tiers.items():
        if isinstance(entry, PrefixEntry):
            found[f"prefix {entry.symbols.tolist()}"] = (entry.k.data_ptr(), entry.v.data_ptr())
        elif isinstance(entry, MediaEntry) and entry.donor is not None:
            found[key] = (entry.features.data_ptr(), entry.donor.k.data_ptr(), entry.donor.v.data_ptr())
    return found


def test_entries_are_shared_not_copied_and_nothing_else_is_kept(lab: Any) -> None:
    runners = group(lab, ["full,prefix-cache,full-reuse,random-k"], adopt=True)
    records = list(serve("work", stream(lab, [0, 1, 2, 3, 4, 4]), runners, OPTIONS, {}))
    _, _, reuse, random = runners
    mine, theirs = tensors(reuse), tensors(random)
    shared = {key for key in mine if mine[key] == theirs.get(key)}
    requests = {record.request for record in adopted(records) if record.runner in ("full-reuse", "random-k")}
    assert len([key for key in shared if not key.startswith("prefix")]) == 2 * len(requests) == 4
    assert len([key for key in shared if key.startswith("prefix")]) == len(requests)
    assert reuse._engine._pool is not None
    assert reuse._engine._pool._board is None  # the last request was warm: what was offered before is gone


def test_other_bytes_in_the_prefix_are_other_work(lab: Any) -> None:
    """Where the reused keys of two runners differ in one bit, neither takes over what the other computed."""
    first, second = group(lab, ["full-reuse,random-k"], adopt=True, reference="none")
    warm_up, asked = lab.ask("x ", lab.picture(0)), replace(lab.ask("x ", lab.picture(1)), adoptable=True)
    for runner in (first, second):
        runner.answer(warm_up)
    (entry,) = [entry for _, entry in second._engine._stores.tiers.items() if isinstance(entry, PrefixEntry)]
    with torch.inference_mode():
        entry.k[0, 0, 0, 0] += 1e-6 * entry.k[0, 0, 0, 0] + 1e-9
    assert not first.answer(asked).adopted
    assert not second.answer(asked).adopted


def test_only_runners_of_one_request_share(lab: Any) -> None:
    first, second = group(lab, ["full-reuse,random-k"], adopt=True, reference="none")
    asked = [replace(lab.ask("x ", lab.picture(0)), adoptable=True) for _ in range(2)]
    assert not first.answer(asked[0]).adopted
    assert not second.answer(asked[1]).adopted
    first.reset()
    assert first.answer(asked[1]).adopted
