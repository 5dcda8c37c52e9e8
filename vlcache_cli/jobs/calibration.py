"""Calibrate the risk of reuse: assess a stream of requests, and fit the risk model of a profile to what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from vlcache_cli import console
from vlcache_cli.config.commands import ProfileConfig
from vlcache_cli.jobs.streams import Stream, open_streams
from workloads.errors import UsageError

if TYPE_CHECKING:
    from runners.models.load import LoadedModel
    from runners.profile import ModelProfile
    from runners.records import Record
    from runners.risk.model import RiskModel
    from runners.risk.outcomes import CalibrationRequest

USUAL_REUSE = 0.67


def open_calibration(config: ProfileConfig) -> dict[str, Stream]:
    """Open the streams to calibrate on: other requests than those whose layers are measured; none if none are asked.

    Unless said otherwise, many media come back a few times, for only requests that share none are separate evidence.
    """
    if config.calibration_samples == 0:
        return {}
    return open_streams(
        replace(
            config,
            samples=config.calibration_samples,
            seed=config.seed + 1,
            popularity=config.popularity or "even",
            reuse_rate=USUAL_REUSE if config.reuse_rate is None else config.reuse_rate,
        )
    )


def calibrate(
    config: ProfileConfig, model: LoadedModel, profile: ModelProfile, streams: Mapping[str, Stream]
) -> tuple[list[Record], RiskModel]:
    """Serve the streams, and fit and calibrate a risk model.

    Args:
        profile: whose probe layers are used.

    Raises:
        UsageError: too few requests had anything to decide.
    """
    from runners.analysis.assess import AssessingRunner, assess, count_assessed
    from runners.methods.parts.signals import SIGNALS
    from runners.methods.vlcache import VLCache
    from runners.risk import calibrate as calibration

    donor = config.donor or VLCache().donor
    probed = replace(model, profile=replace(profile, risk=None))
    seen: list[tuple[Record, CalibrationRequest | None]] = []
    for name, stream in streams.items():
        limit = stream.options.max_new_tokens
        runner = AssessingRunner(probed, config.device_budget, limit, donor)
        served = assess(name, stream.conversations, runner, limit)
        asked = count_assessed(stream.conversations, runner)
        seen += console.track(served, f"requests of {name} to calibrate on", asked)
    requests = [request for _, request in seen if request is not None]
    try:
        risk = calibration.calibrate(SIGNALS, donor, requests)
    except ValueError as error:
        raise UsageError(f"{error}: raise --calibration-samples or --reuse-rate") from error
    _tell(risk)
    return [record for record, _ in seen], risk


def _tell(risk: RiskModel) -> None:
    """Say what was fitted and what is promised, and warn where too few requests were seen for it."""
    console.note(f"tokens ranked by {risk.ranking}, in doubt below a logit margin of {risk.least_margin:g}")
    for promise in risk.promises:
        if promise.threshold > 0:
            console.note(
                f"at most {100 * promise.risk:g} % of answers change, {100 * promise.computed:.1f} % of the vision "
                f"tokens computed: {promise.changed} of {risk.requests} changed, at most {100 * promise.bound:.1f} % "
                f"at {100 * risk.confidence:g} % confidence, for requests like those of {', '.join(risk.families)}"
            )
        elif promise.bound <= promise.risk:
            console.note(
                f"a promise of {100 * promise.risk:g} % cannot be made: more answers change even where the estimates "
                "are lowest, so everything is computed"
            )
        else:
            console.note(
                f"a promise of {100 * promise.risk:g} % cannot be made: {risk.requests} separate requests bound the "
                f"share of changed answers to {100 * promise.bound:.1f} % at best, so everything is computed; raise "
                "--calibration-samples"
            )
