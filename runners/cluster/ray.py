"""Ask the cells of a run as tasks of Ray (arXiv 1712.05889); a lost worker's cells are asked again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from runners.records import Record
from workloads.errors import UsageError

if TYPE_CHECKING:
    from runners.cluster.cell import Cell

TRIES_AGAIN = 3


def require_ray() -> None:
    """UsageError where Ray is not installed."""
    if find_spec("ray") is None:
        raise UsageError("--on ray takes Ray: pip install 'vlcache[ray]'")


def run_cells(
    cells: Sequence[Cell], address: str | None, gpus: bool, needs: Callable[[Cell], bool] = lambda cell: True
) -> Iterator[tuple[Cell, list[Record]]]:
    """Yield cells with their records, in the order in which cells are done.

    Args:
        address: of a cluster, as ``ray://host:10001``; None starts one on this machine, and ends it.
        gpus: whether each cell takes a GPU; else it takes one processor.
        needs: whether a cell is still to be asked, looked at whenever another one is done: else its task is cancelled.

    Raises:
        UsageError: the cluster cannot be reached, or what a cell raised.
    """
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        options: dict[str, Any] = (
            {"address": "local", "include_dashboard": False} if address is None else {"address": address}
        )
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except Exception as error:  # Ray raises plain ones, where a busy machine does not start it in time
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"no Ray cluster at {address or 'this machine'}: {reason}") from error
    try:
        share = {"num_gpus": 1} if gpus else {"num_cpus": 1}
        task = ray.remote(max_retries=TRIES_AGAIN, **share)(_answer)
        under_way = {task.remote(cell): cell for cell in cells}
        while under_way:
            (done,), _ = ray.wait([*under_way], num_returns=1)
            cell = under_way.pop(done)
            try:
                found = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.RayError as error:
                reason = str(error).splitlines()[0]
                raise UsageError(f"a cell was lost {TRIES_AGAIN + 1} times ({reason}): go on with --resume") from error
            yield cell, [Record.from_json(record) for record in found]
            for task_id in [task_id for task_id, cell in under_way.items() if not needs(cell)]:
                ray.cancel(task_id)
                del under_way[task_id]
    finally:
        ray.shutdown()


def _answer(cell: Cell) -> list[dict[str, Any]]:
    """Ask a cell, in a worker."""
    return [record.to_json() for record in cell.records()]
