"""``vlcache profile``: what reuse does to a model, layer by layer, and the profile that follows from it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from runners.ranks import refuse_launch
from vlcache_cli import console
from vlcache_cli.commands.bench import tell_failures
from vlcache_cli.config.commands import ProfileConfig
from vlcache_cli.config.flags import configured_by
from vlcache_cli.failures import ExitCode, stopping_in

if TYPE_CHECKING:
    from reports.profile.folder import ProfileFolder
    from vlcache_cli.jobs.profile import Profiled


@configured_by(ProfileConfig)
def profile(config: ProfileConfig) -> ExitCode:
    """Measure a model: in which layers reused media go wrong, what that costs, and which settings follow."""
    from vlcache_cli.jobs.profile import measure, prepare

    refuse_launch("vlcache profile")
    job = prepare(config)
    with job.lock, stopping_in(config.output):
        profiled = measure(job)
        show(config, profiled, job.folder)
    return tell_failures(profiled.records)


def show(config: ProfileConfig, profiled: Profiled, folder: ProfileFolder) -> None:
    """What was found on stdout, where it is kept on stderr."""
    from reports.profile import summary as profile_summary

    layers, rows = profiled.layers, {}
    if layers is not None:
        rows = {
            "requests": profile_summary.request_rows(layers.errors),
            "layers": profile_summary.layer_rows(
                layers.errors, layers.costs, layers.conclusion.ratios, layers.conclusion.probes
            ),
            "media": profile_summary.medium_rows(layers.errors),
            "probes": profile_summary.probe_rows(layers.conclusion.probes),
        }
    if config.json:
        console.show_text(profile_summary.to_json(config.measured(), asdict(profiled.profile), **rows))
    elif rows:
        from reports.forms.profile_table import render
        from reports.forms.table import WIDTH

        console.show(render(**rows, budget=config.budget), WIDTH)
    if layers is not None:
        console.note(f"error map kept in {folder.errors}, drawn in {folder.picture}")
    console.note(f"profile kept in {folder.profile}: use it with --profile, or copy it beside the model's weights")
