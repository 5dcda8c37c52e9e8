"""Decide on the blocks of a workload in their order, in whatever order a cluster is done with them.

A block counts once all blocks before it do. So the order of the evidence is fixed before anything is asked, as the
bounds that allow for looking need it: in the order in which workers are done, blocks of quick answers would come first,
and what is quick may be right more often. Decisions, and the records up to them, are those of a run in one process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runners.records import Record, record_key
from runners.session import Watch


class Prefix:
    """Take in the records of one workload in the order of its stream, as far as they are known without a gap.

    Args:
        blocks: ids of the requests of each block, in order.
        labels: of the runners.
        finished: records of an earlier part of the run, by key.
    """

    def __init__(
        self,
        workload: str,
        blocks: Sequence[Sequence[str]],
        labels: Sequence[str],
        reference: str,
        watch: Watch,
        finished: Mapping[str, Record],
    ) -> None:
        self._workload, self._labels, self._reference = workload, labels, reference
        self._watch, self._finished = watch, finished
        self._blocks = blocks
        self._new: dict[int, dict[str, list[Record]]] = {}
        self._walk = self._go()
        self._block = 0
        self._ended = False

    def needs(self, block: int) -> bool:
        """Whether the records of a block may still count."""
        return not self._ended and block >= self._block and block not in self._new

    def put(self, block: int, records: Sequence[Record]) -> None:
        """Take in what ``finished`` lacks of a block, in the order of the stream."""
        of_requests = self._new.setdefault(block, {})
        for record in records:
            of_requests.setdefault(record.request, []).append(record)

    def advance(self) -> Iterator[Record]:
        """Yield the records that now count and are not ``finished``, in the order of the stream."""
        while (record := next(self._walk, None)) is not None:
            yield record

    def _go(self) -> Iterator[Record | None]:
        """Yield the records that count; None where the next one is not known yet."""
        dropped: set[str] = set()
        for block, requests in enumerate(self._blocks):
            self._block = block
            for request in requests:
                dropped |= {label for label in self._labels if label not in dropped and not self._watch.asks(label)}
                if self._reference in dropped:
                    self._ended = True
                    return
                left = [label for label in self._labels if label not in dropped]
                known = [self._finished.get(record_key(self._workload, request, label)) for label in left]
                for record in known:
                    if record is not None:
                        self._watch.note(record)
                if None in known:
                    while block not in self._new:
                        yield None
                    for record in self._new[block].get(request, ()):
                        if record.runner not in dropped:
                            yield record
                            self._watch.note(record)
            self._new.pop(block, None)
        self._ended = True
