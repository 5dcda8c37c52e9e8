"""Build the runners of a run: methods in the built-in engine, and servers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from runners.base import Runner
from runners.registry import RunnerSpec
from workloads.errors import UsageError

if TYPE_CHECKING:
    from runners.endpoint.runner import EndpointRunner
    from runners.engine.store.disk.store import DiskStore
    from runners.models.load import LoadedModel


@contextmanager
def open_servers(specs: Sequence[RunnerSpec]) -> Iterator[dict[str, EndpointRunner]]:
    """Connect to the servers among the runners of a run, by label, and close the connections behind it.

    Raises:
        UsageError: a server cannot be reached or cannot do what its spec asks for, or two runners disturb each other.
    """
    require_apart(specs)
    with ExitStack() as stack:
        servers: dict[str, EndpointRunner] = {}
        for spec in specs:
            if spec.is_server:
                from runners.endpoint.runner import EndpointRunner

                servers[spec.label] = EndpointRunner(spec)
                stack.callback(servers[spec.label].close)
        yield servers


def build_runners(
    specs: Sequence[RunnerSpec],
    model: LoadedModel | None,
    servers: dict[str, EndpointRunner],
    reference: str,
    adopt: bool,
    disk: DiskStore | None = None,
) -> list[Runner]:
    """Build the runners of a run in the order of their specs.

    Args:
        model: for the methods; None where all runners are servers.
        servers: see ``open_servers``.
        disk: the disk tier of the process, for the methods; None for none.
        adopt: whether all methods but the reference take over what another computed alike.
    """
    local: list[Runner] = []
    if model is not None:
        from runners.local import build_runners as build_local

        local = [*build_local([spec for spec in specs if not spec.is_server], model, reference, adopt, disk)]
    found: dict[str, Runner] = {runner.label: runner for runner in (*local, *servers.values())}
    return [found[spec.label] for spec in specs]


def require_apart(specs: Sequence[RunnerSpec]) -> None:
    """UsageError where runners share a server's caches, and one of them measures what others left there."""
    places: dict[str, list[RunnerSpec]] = {}
    for spec in specs:
        if spec.is_server:
            places.setdefault(str(spec.options["url"]).rstrip("/"), []).append(spec)
    for url, sharing in places.items():
        left = [spec.label for spec in sharing if spec.options.get("state", "stream") == "stream"]
        if left and len(sharing) > 1:
            raise UsageError(
                f"runner '{left[0]}' shares {url} and its caches with others: "
                "give each state=cold, state=same-image or state=repeat, or a server of its own"
            )
