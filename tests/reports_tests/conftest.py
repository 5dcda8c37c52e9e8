from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runners.records import CacheStats, Record, Status, Timing, Warmth

MakeRecord = Callable[..., Record]


def _record(
    request: str = "q0",
    runner: str = "full",
    *,
    workload: str = "binding",
    cluster: str | None = None,
    warmth: Warmth = Warmth.WARM,
    ttft_ms: float = 100.0,
    host_ttft_ms: float | None = None,
    score: float | None = 1.0,
    status: Status = Status.OK,
    kl: float | None = 0.0,
    agrees: bool | None = True,
    recurring: int = 3,
    **cache: Any,
) -> Record:
    parts = dict.fromkeys(("preprocess_ms", "encode_ms", "load_ms", "select_ms", "prefill_ms", "head_ms"), 0.0)
    numbers: dict[str, Any] = {
        "media": 3,
        "media_hits": 3,
        "encoder_hits": 3,
        "kv_hits": 3,
        "prompt_tokens": 120,
        "vision_tokens": 100,
        "prefix_tokens": 0,
        "planned_token_layers": 500,
        "computed_token_layers": 500,
        "layers": 5,
        "flops": 1e9,
        "full_flops": 1e9,
        "stored_bytes": 0,
        "kv_bytes_per_token": None,
    }
    ok = status is Status.OK
    return Record(
        key=f"{workload}/{request}/{runner}",
        workload=workload,
        request=request,
        runner=runner,
        cluster_id=cluster or f"{workload}/{request}",
        family="changed",
        order=0,
        warmth=warmth,
        recurring_media=recurring,
        content_share=0.25,
        status=status,
        error=None if ok else "it broke",
        answer="A" if ok else None,
        gold=("A",),
        token_ids=(7,) if ok else (),
        score=score if ok or score is None else 0.0,
        kl=kl if ok else None,
        agrees=agrees if ok else None,
        timing=Timing(ttft_ms, prepare_ms=ttft_ms, decode_ms=1.0, store_ms=2.0, host_ttft_ms=host_ttft_ms, **parts)
        if ok
        else None,
        cache=CacheStats(**(numbers | cache)) if ok else None,
    )


@pytest.fixture
def make_record() -> MakeRecord:
    """A record of runner ``full`` that answered right, warm, in 100 ms; any of it may be said otherwise."""
    return _record


@pytest.fixture
def manifest() -> dict[str, Any]:
    """As much of a manifest as a summary needs."""
    return {
        "config": {"reference": "full", "seed": 0, "workload": ["binding"]},
        "workloads": {"binding": "abc"},
        "model": {"name": "builtin", "device": "cpu", "dtype": "float32"},
        "runners": [
            {"label": "vlcache", "method": "vlcache", "lossless": False},
            {"label": "full", "method": "full", "lossless": True},
            {"label": "prefix-cache", "method": "prefix-cache", "lossless": True},
        ],
    }


MakeRun = Callable[..., list[Record]]


@pytest.fixture
def make_run() -> MakeRun:
    """A run of ``full``, ``prefix-cache`` and ``vlcache`` on warm requests, each with media of its own.

    ``vlcache`` answers in a third of the time, or ``slower`` times that; its first ``lost`` answers are wrong and the
    ``gained`` after them right, where those of ``full`` are wrong. ``cache``: more of what its store did.
    """

    def make(requests: int = 200, lost: int = 0, gained: int = 0, slower: float = 1.0, **cache: Any) -> list[Record]:
        records = []
        for number in range(requests):
            request, took = f"q{number}", 90.0 + number % 20
            wrong, better = number < lost, lost <= number < lost + gained
            nothing: dict[str, Any] = {"media_hits": 0, "kv_hits": 0, "encoder_hits": 0}
            records += [
                _record(request, "full", ttft_ms=took, score=0.0 if better else 1.0, **nothing),
                _record(request, "prefix-cache", ttft_ms=took / 2, score=0.0 if better else 1.0, kv_hits=0),
                _record(
                    request,
                    "vlcache",
                    ttft_ms=took / 3 * slower,
                    score=0.0 if wrong else 1.0,
                    agrees=not (wrong or better),
                    **{"computed_token_layers": 25, "flops": 1e8, **cache},
                ),
            ]
        return records

    return make
