"""Get the answers of a run: one by one in this process, under load, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from workloads.errors import UsageError

if TYPE_CHECKING:
    from runners.base import Runner
    from runners.cluster.cell import ModelSettings
    from runners.load.session import LoadOptions
    from runners.models.load import LoadedModel
    from runners.records import Record
    from runners.registry import RunnerSpec
    from runners.session import Watch
    from vlcache_cli.config.commands import RunConfig
    from vlcache_cli.jobs.streams import Stream


def require_spreadable(config: RunConfig, specs: Sequence[RunnerSpec]) -> None:
    """UsageError for what cannot be asked on a cluster."""
    if config.on == "local":
        return
    from runners.cluster.ray import require_ray

    require_ray()
    if config.is_loaded:
        raise UsageError("--on ray asks requests one by one: drop what makes load, or ask --on local")
    if config.is_sequential and config.blocks < 2:
        raise UsageError(
            "--until-decided on a cluster decides behind whole blocks, asked at once: give --blocks, 20 for example"
        )
    if config.store_dir is not None:
        raise UsageError("--on ray keeps no store on disk: drop --store-dir")
    if any(spec.is_server for spec in specs):
        raise UsageError(
            "--on ray spreads methods of the built-in engine: a server is asked from one place, --on local"
        )


def answers_of(
    config: RunConfig,
    streams: Mapping[str, Stream],
    runners: Sequence[Runner],
    finished: Mapping[str, Record],
    watches: Mapping[str, Watch],
    loads: Mapping[str, LoadOptions],
    not_warmed: frozenset[str],
) -> Iterator[Record]:
    """Yield the records that ``finished`` does not have, asked in this process; those that follow up left out.

    Args:
        not_warmed: see ``SessionOptions``.
    """
    from runners.session import SessionOptions, serve

    def answer(workload: str, stream: Stream) -> Iterator[Record]:
        options = SessionOptions(
            config.reference, config.seed, stream.options.max_new_tokens, config.warmup, not_warmed=not_warmed
        )
        if loads:
            from runners.load.session import serve_under_load

            return serve_under_load(workload, stream.conversations, runners, options, loads)
        watch = watches.get(workload)
        blocks = (
            serve(workload, block, runners, options, finished, watch)
            for place, block in enumerate(stream.blocks)
            if place == 0 or watch is None or watch.asks(config.reference)
        )
        return chain.from_iterable(blocks)

    return chain.from_iterable(answer(workload, stream) for workload, stream in streams.items())


def settings_of_model(config: RunConfig) -> ModelSettings:
    """How the model of a run is loaded, for processes that load it, too."""
    from runners.cluster.cell import ModelSettings

    return ModelSettings(name=config.model, revision=config.revision, **config.loading(config.profile))


def answers_on_cluster(
    config: RunConfig,
    streams: Mapping[str, Stream],
    specs: Sequence[RunnerSpec],
    model: LoadedModel,
    finished: Mapping[str, Record],
    watches: Mapping[str, Watch],
) -> Iterator[Record]:
    """Yield the records that ``finished`` does not have, each workload's block asked somewhere on a cluster.

    Of a watched workload only those up to its decision are yielded, block after block, see ``runners.cluster.prefix``.
    """
    from runners.cluster.cell import Cell
    from runners.cluster.prefix import Prefix
    from runners.cluster.ray import run_cells
    from runners.session import SessionOptions

    settings = replace(settings_of_model(config), fingerprint=model.fingerprint)
    cells = [
        Cell(
            model=settings,
            specs=tuple(specs),
            adopt=config.adopt,
            workload=workload,
            conversations=tuple(block),
            options=SessionOptions(config.reference, config.seed, stream.options.max_new_tokens, config.warmup),
            block=place,
        ).left(finished)
        for workload, stream in streams.items()
        for place, block in enumerate(stream.blocks)
    ]
    prefixes = {
        workload: Prefix(
            workload=workload,
            blocks=[[turn.id for conversation in block for turn in conversation.turns] for block in stream.blocks],
            labels=[spec.label for spec in specs],
            reference=config.reference,
            watch=watches[workload],
            finished=finished,
        )
        for workload, stream in streams.items()
        if workload in watches
    }

    def needs(cell: Cell) -> bool:
        return cell.workload not in prefixes or prefixes[cell.workload].needs(cell.block)

    for prefix in prefixes.values():
        yield from prefix.advance()
    left = [cell for cell in cells if cell is not None and needs(cell)]
    if not left:
        return
    address = None if config.on == "ray" else config.on
    for cell, records in run_cells(left, address, model.adapter.device.type == "cuda", needs):
        if cell.workload not in prefixes:
            yield from records
            continue
        prefixes[cell.workload].put(cell.block, records)
        yield from prefixes[cell.workload].advance()
