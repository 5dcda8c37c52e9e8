"""Answer requests that a model was not calibrated on, by full recomputation and other runners, and compare.

    python docs/benchmarks/held_out.py reader FOLDER --workload versions --workload quote --runner conduit,vlcache
    python docs/benchmarks/held_out.py reader FOLDER --workload versions --samples 60 --runner conduit@ratio=0.25

Media of cold requests are stored without an answer where nobody needs it, which halves the time of `vlcache bench`.
FOLDER keeps the records of every workload and runner, of one model and profile, so that a script that was stopped, or
is asked for other runners, goes on; `full` answers beside what is new, for its times. The table is of the requests that
bring media back: answers that differ from those of `full`, with an upper bound of their share (Clopper-Pearson, 95 %)
over the first request of every case, for no two of these share media; and lost and won ones. Of those that show nothing
new also vision tokens computed and FLOPs, in percent of all; and how many times as fast the first token comes, by the
medians of each runner and of `full` beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median

import torch

from runners.defaults import RunnerDefaults
from runners.local import build_runner
from runners.models.load import LoadedModel, load_model, resolve_model
from runners.records import Record, Status, Warmth
from runners.registry import RunnerSpec, parse_specs
from runners.risk.bounds import changed_bound
from runners.session import COMPUTED_BY_ALL, SessionOptions, serve
from workloads.base import StreamOptions
from workloads.registry import load_workload

REFERENCE = "full"
HEAD = "| family | runner | requests | changed | at most, % | lost, won | tokens, % | FLOPs, % | TTFT |"


def main() -> None:
    """Answer what was not answered yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=7101)
    parser.add_argument("--workload", required=True, action="append")
    parser.add_argument("--samples", type=int, default=120, help="requests of each workload, cold ones among them")
    parser.add_argument("--popularity", default="own", choices=("own", "even"))
    parser.add_argument("--reuse-rate", type=float, help="as of vlcache bench; its usual one when not given")
    parser.add_argument("--runner", required=True, action="append", help="all but full, such as conduit,vlcache")
    parser.add_argument("--profile", type=Path, help="in place of the model's own")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    model = load_model(options.model, resolve_model(options.model), profile=options.profile)
    head = json.dumps({"model": model.fingerprint, "profile": sha256(repr(model.profile).encode()).hexdigest()})
    reference, *specs = parse_specs([REFERENCE, *options.runner], RunnerDefaults())
    print(HEAD, "|---" * HEAD.count(" | ") + "|---|", sep="\n")
    for name in options.workload:
        begin = f"{name}-{options.popularity}-{options.reuse_rate}-{options.seed}-{options.samples}"
        kept = {spec.label: options.folder / f"{begin}-{spec.label}.jsonl" for spec in specs}
        new = [spec for spec in specs if not holds(kept[spec.label], head)]
        answered = answer(model, name, options, [reference, *new]) if new else []
        for spec in new:
            lines = (json.dumps(r.to_json()) for r in answered if r.runner in (reference.label, spec.label))
            kept[spec.label].write_text("".join(f"{line}\n" for line in (head, *lines)))
        for label, file in kept.items():
            records = [Record.from_json(json.loads(line)) for line in file.read_text().splitlines()[1:]]
            print(table_line(name, label, records), flush=True)


def holds(file: Path, head: str) -> bool:
    """Whether a file has records of this model and profile."""
    return file.exists() and file.read_text().partition("\n")[0] == head


def answer(model: LoadedModel, name: str, asked: argparse.Namespace, specs: Sequence[RunnerSpec]) -> list[Record]:
    """Answer a stream by some runners, cold requests only where a reply or an exact prefix comes back."""
    workload = load_workload(name)
    usual = workload.defaults.usual_reuse_rate(asked.popularity)
    rate = usual if asked.reuse_rate is None else asked.reuse_rate
    stream = StreamOptions(asked.samples, asked.seed, reuse_rate=rate, popularity=asked.popularity)
    conversations = list(workload.conversations(stream))
    options = SessionOptions(
        REFERENCE,
        seed=asked.seed,
        max_new_tokens=workload.defaults.max_new_tokens,
        warmup=0,
        cold_before=COMPUTED_BY_ALL,
        spares=True,
    )
    return list(serve(name, conversations, [build_runner(spec, model) for spec in specs], options, {}))


def table_line(name: str, label: str, records: Sequence[Record]) -> str:
    """Compare a runner with the reference: one line of the table."""
    warm = [record for record in records if record.warmth is not Warmth.COLD]
    failed = [record for record in warm if record.status is not Status.OK]
    if failed:
        print(f"{len(failed)} answers failed, the first with: {failed[0].error}", file=sys.stderr)
    full = {record.request: record for record in warm if record.runner == REFERENCE and record.status is Status.OK}
    mine = [
        record for record in warm if record.runner == label and record.request in full and record.agrees is not None
    ]
    if not mine:
        return f"| {name} | `{label}` | 0 |" + " |" * (HEAD.count(" | ") - 2)
    scored = [(full[record.request].score, record.score) for record in mine]
    gains = [ours - theirs for theirs, ours in scored if theirs is not None and ours is not None]
    known = [record for record in mine if record.warmth is Warmth.WARM]
    caches = [record.cache for record in known if record.cache is not None]
    first = list({record.cluster_id: record for record in reversed(mine)}.values())
    bound = changed_bound(sum(not record.agrees for record in first), len(first))
    tokens = sum(cache.computed_token_layers / cache.layers for cache in caches)
    beside = [full[record.request] for record in known]
    times = [median([r.timing.ttft_ms for r in part if r.timing] or [0.0]) for part in (beside, known)]
    values = (
        name,
        f"`{label}`",
        len(mine),
        sum(not record.agrees for record in mine),
        f"{100 * bound:.1f}",
        f"{sum(gain < 0 for gain in gains)}, {sum(gain > 0 for gain in gains)}" if gains else "",
        percent(tokens, sum(cache.vision_tokens for cache in caches)),
        percent(sum(cache.flops for cache in caches), sum(cache.full_flops for cache in caches)),
        f"{times[0] / times[1]:.2f}" if times[1] else "",
    )
    return "| " + " | ".join(str(value) for value in values) + " |"


def percent(part: float, whole: float) -> str:
    """Write a share in percent; nothing of nothing."""
    return f"{100 * part / whole:.1f}" if whole else ""


if __name__ == "__main__":
    with torch.inference_mode():
        main()
