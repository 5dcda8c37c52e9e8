"""Calibrate the risk of a model as it ships: on streams of several kinds, which one `vlcache profile` has not.

    python docs/benchmarks/calibrate_model.py builtin FOLDER
    python docs/benchmarks/calibrate_model.py reader FOLDER
    python docs/benchmarks/calibrate_model.py builtin FOLDER --model MODEL
    python docs/benchmarks/calibrate_model.py builtin FOLDER --leave-out binding
    python docs/benchmarks/calibrate_model.py reader FOLDER --held-out 602
    python docs/benchmarks/calibrate_model.py reader FOLDER --seed 601 --seed 602

The third does it for another model, on the streams of the one named. The fourth calibrates on all families but one, the
fifth on all, and both tell what that model of the risk would do to requests that it has not seen: of that family, or of
streams of another seed. The last calibrates on twice the requests.

In streams of even popularity most requests of `binding` and `multi-hop` bring a new picture beside reused ones; in
those of popularity own every request that comes back has all its media stored. A threshold has to hold for both.
FOLDER keeps what was found of every stream, so that a script that was stopped goes on with the next one, if model,
signals and levels are still the same. Then the profile of the model with its new risk model is written to
FOLDER/vlcache.yaml, and what every promise rests on is printed. Some 10 minutes on a CPU core for the embedded model,
40 for the reader.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch

from runners.analysis.assess import LEVELS, AssessingRunner, assess
from runners.methods.parts.signals import SIGNALS
from runners.models.load import LoadedModel, load_model, resolve_model
from runners.profile import write_profile
from runners.risk.calibrate import USUAL_RISK, calibrate
from runners.risk.model import EVERYTHING, RANKINGS, RiskModel
from runners.risk.outcomes import CalibrationRequest, Outcome
from workloads.base import StreamOptions
from workloads.records import Popularity
from workloads.registry import load_workload

EVEN_REUSE = 0.67
SEED = 601
BUDGET = 8 << 30
DIGITS = 5


@dataclass(frozen=True)
class Source:
    """A stream to calibrate on."""

    workload: str
    popularity: Popularity
    requests: int
    seed: int = SEED

    @property
    def name(self) -> str:
        """What tells its cases from those of the other streams of a workload."""
        return f"{self.popularity}-{self.seed}"

    @property
    def file(self) -> str:
        """Name of the file with what was found of it."""
        return f"{self.workload}-{self.name}.jsonl"


def both(workload: str, requests: int = 300) -> list[Source]:
    """Streams of even and of own popularity, somewhat fewer of the latter."""
    return [Source(workload, "even", requests), Source(workload, "own", round(0.8 * requests))]


SOURCES: dict[str, Sequence[Source]] = {
    "builtin": [
        *(source for name in ("binding", "multi-hop", "doc-qa", "video", "image-chat") for source in both(name)),
        *(source for name in ("gui-agent@window=5", "gui-agent@window=10") for source in both(name, 120)),
    ],
    "reader": [
        *(Source(name, "own", 300) for name in ("versions", "quote", "prose")),
        Source("page-break", "own", 240),
    ],
}


def assessed(model: LoadedModel, source: Source, kept: Path) -> list[CalibrationRequest]:
    """Assess the requests of one stream, or read what was found of it; cases are told apart from other streams'."""
    if not kept.exists() or json.loads(kept.read_text().partition("\n")[0]) != header(model):
        workload = load_workload(source.workload)
        even = source.popularity == "even"
        rate = EVEN_REUSE if even else workload.defaults.usual_reuse_rate(source.popularity)
        options = StreamOptions(source.requests, source.seed, reuse_rate=rate, popularity=source.popularity)
        limit = workload.defaults.max_new_tokens
        runner = AssessingRunner(model, BUDGET, limit, "template")
        found = assess(source.workload, list(workload.conversations(options)), runner, limit)
        rows = [header(model), *(rounded(asdict(request)) for _, request in found if request is not None)]
        kept.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return [read(line, source) for line in kept.read_text().splitlines()[1:]]


def header(model: LoadedModel) -> dict[str, object]:
    """What the outcomes in a file depend on."""
    asked = {"signals": list(SIGNALS), "rankings": list(RANKINGS), "levels": list(LEVELS)}
    return {"model": model.fingerprint, **asked}


def rounded(values: Any) -> Any:
    """Round all numbers in what ``asdict`` gives: more digits would tell apart machines, not requests."""
    if isinstance(values, dict):
        return {name: rounded(value) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [rounded(value) for value in values]
    return round(values, DIGITS) if isinstance(values, float) else values


def read(line: str, source: Source) -> CalibrationRequest:
    """Read what ``assessed`` wrote of one request."""
    found = json.loads(line)
    outcomes = {
        ranking: {float(share): Outcome(**outcome) for share, outcome in levels.items()}
        for ranking, levels in found.pop("outcomes").items()
    }
    found |= {"case": f"{source.name}/{found['case']}", "signals": tuple(found["signals"]), "outcomes": outcomes}
    return CalibrationRequest(**found)


def main() -> None:
    """Assess all streams, calibrate, and write the profile."""
    options = parse()
    folder, name = options.folder, options.model or options.streams
    folder.mkdir(parents=True, exist_ok=True)
    loaded = load_model(name, resolve_model(name))
    model = replace(loaded, profile=replace(loaded.profile, risk=None))
    fitted, unseen = [], []
    for seed, source in product([*options.seed, *options.held_out], SOURCES[options.streams]):
        of_seed = replace(source, seed=seed)
        found = assessed(model, of_seed, folder / of_seed.file)
        (unseen if seed in options.held_out or source.workload in options.leave_out else fitted).extend(found)
        print(f"{of_seed.workload}, {of_seed.name}: {len(found)} requests", file=sys.stderr)
    risk = calibrate(SIGNALS, "template", fitted)
    comment = "Risk: docs/benchmarks/calibrate_model.py."
    write_profile(folder / "vlcache.yaml", replace(loaded.profile, risk=risk), comment)
    tell(risk)
    if unseen:
        print("\n| not calibrated on | requests | blind reuse changes | changed | kept | repaired | in full |")
        print("|---" * 7 + "|")
    for family in dict.fromkeys(request.family for request in unseen):
        print(unseen_line(risk, family, [request for request in unseen if request.family == family]))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("streams", choices=SOURCES, help="the model whose streams are asked")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", help="another model than the one named")
    parser.add_argument("--seed", type=int, action="append", help=f"of the streams, {SEED} if none; repeatable")
    parser.add_argument("--held-out", type=int, action="append", default=[], help="another seed, to ask; repeatable")
    parser.add_argument("--leave-out", action="append", default=[], help="a workload not to calibrate on; repeatable")
    options = parser.parse_args()
    options.seed = options.seed or [SEED]
    seeds = [*options.seed, *options.held_out]
    if len(set(seeds)) < len(seeds):
        parser.error("a seed can be given once, to calibrate on or to hold out")
    if unknown := set(options.leave_out) - {source.workload for source in SOURCES[options.streams]}:
        parser.error(f"--leave-out {', '.join(sorted(unknown))}: there is no such stream")
    return options


def tell(risk: RiskModel) -> None:
    """Print what was fitted and what is promised."""
    print(f"ranking: {risk.ranking}")
    print(f"logit margin below which a token is in doubt: {risk.least_margin:g}\n")
    print("| promise | threshold | changed of separate requests | bound | tokens computed |\n|---|---|---|---|---|")
    for promise in risk.promises:
        print(
            f"| {promise.risk:g} | {promise.threshold:g} | {promise.changed} of {risk.requests} "
            f"| {promise.bound:.4f} | {promise.computed:.4f} |"
        )


def unseen_line(risk: RiskModel, family: str, requests: Sequence[CalibrationRequest]) -> str:
    """Say what a model of the risk would do to requests that it has not seen: one line of the table."""
    chosen = [risk.choose(request.signals, USUAL_RISK, request.behind_new_media).share for request in requests]
    outcomes = [request.outcome(risk.ranking, share) for request, share in zip(requests, chosen, strict=True)]
    kept, everything = chosen.count(0), chosen.count(EVERYTHING)
    counts = (
        len(requests),
        sum(request.outcome(risk.ranking, 0.0).changed for request in requests),
        sum(outcome.stays_changed(risk.least_margin) for outcome in outcomes),
        kept,
        len(requests) - kept - everything,
        everything,
    )
    return f"| {family} | " + " | ".join(map(str, counts)) + " |"


if __name__ == "__main__":
    with torch.inference_mode():
        main()
