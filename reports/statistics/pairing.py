"""Runners side by side on the same requests: ratios and differences never mix requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from reports.statistics.changes import Changes
from reports.statistics.intervals import Interval
from reports.statistics.levels import ONE_LOOK, AlphaShares
from reports.statistics.sequential import SequentialChanges
from runners.records import Warmth


def defined(ratios: pd.Series[float]) -> pd.Series[float]:
    """The ratios that are numbers: neither unknown nor infinite."""
    return ratios[np.isfinite(ratios)]


@dataclass(frozen=True)
class Paired:
    """One workload's numbers as request x runner; NaN where a runner has none.

    Attributes:
        ttft: milliseconds, of answered requests.
        score: 0..1, a failed request 0.
        answered: whether the request got an answer.
        cluster, warmth: of each request.
        reference: the runner that others are compared with.
        best_lossless: the lossless runner with the lowest median TTFT on warm requests; None when there is none.
        node: the machine of a cluster that answered each; None where there was one machine.
        sequential: whether the run was stopped by what it saw, so that bounds have to allow for looking.
        shares: of alpha, by runner, see ``Changes``; all of it for the others.
    """

    ttft: pd.DataFrame
    score: pd.DataFrame
    answered: pd.DataFrame
    cluster: pd.Series[str]
    warmth: pd.Series[str]
    reference: str
    best_lossless: str | None
    sequential: bool = False
    shares: Mapping[str, AlphaShares] = field(default_factory=dict)
    node: pd.DataFrame | None = None

    @classmethod
    def of(
        cls,
        records: pd.DataFrame,
        reference: str,
        lossless: Sequence[str],
        sequential: bool = False,
        shares: Mapping[str, AlphaShares] | None = None,
    ) -> Paired:
        """Pair the records of one workload (a frame of ``frame.FRAME_COLUMNS``)."""
        ttft, score, answered = (
            records.pivot(index="request", columns="runner", values=value) for value in ("ttft_ms", "score", "ok")
        )
        requests = records.drop_duplicates("request").set_index("request")
        warmth = requests["warmth"]
        candidates = [label for label in lossless if label in ttft]
        medians = ttft.loc[warmth == Warmth.WARM.value, candidates].median().dropna()
        best = str(medians.idxmin()) if len(medians) else None
        return cls(
            ttft=ttft,
            score=score,
            answered=answered,
            cluster=requests["cluster_id"],
            warmth=warmth,
            reference=reference,
            best_lossless=best,
            sequential=sequential,
            shares=shares or {},
            node=records.pivot(index="request", columns="runner", values="node") if records["node"].any() else None,
        )

    def times(self, label: str) -> pd.Series[float]:
        """TTFT in ms of every request; NaN where the runner has no answer."""
        return _column(self.ttft, label)

    def ratios(self, over: str, under: str, warmth: Warmth | None = None) -> pd.Series[float]:
        """TTFT of ``over`` / TTFT of ``under`` for each request that both answered, of one warmth or of all.

        Requests whose ratio is undefined, for a time of 0, are left out.
        """
        pairs = self._times(over, under, warmth)
        return defined(pairs["over"] / pairs["under"])

    def differences(self, left: str, right: str, warmth: Warmth) -> pd.Series[float]:
        """TTFT of ``left`` - TTFT of ``right`` in ms, for each request of that warmth that both answered."""
        pairs = self._times(left, right, warmth)
        return pairs["over"] - pairs["under"]

    def score_delta(self, label: str) -> pd.Series[float]:
        """Score of ``label`` - score of the reference for each request that could show a difference.

        That is where a medium was sent before, or where one of the two failed: on a request that brings only what is
        new, no method reuses anything, and counting it would water a loss down.
        """
        delta = (_column(self.score, label) - _column(self.score, self.reference)).dropna()
        failed = ~(_column(self.answered, label).eq(True) & _column(self.answered, self.reference).eq(True))
        return delta[(self.warmth != Warmth.COLD.value).loc[delta.index] | failed.loc[delta.index]]

    def agreement(self, mine: pd.DataFrame) -> pd.Series[float]:
        """1 or 0 for each request that the reference answered; a runner without an answer does not agree."""
        comparable = mine["request"].map(_column(self.answered, self.reference).eq(True))
        return mine["agrees"].where(mine["ok"], 0.0)[comparable]

    def clusters(self, values: pd.Series[float]) -> list[str]:
        """The cluster of each request that ``values`` is indexed by."""
        return self.cluster.loc[values.index].tolist()

    def changes(self, values: pd.Series[float], label: str) -> Changes:
        """Values from -1 to 1 of requests that a runner answered, by cluster."""
        if not self.sequential:
            return replace(Changes.of(values, self.clusters(values)), shares=self.shares.get(label, ONE_LOOK))
        ordered = values.reindex(self.cluster.index).dropna()
        return SequentialChanges.in_order(ordered, self.clusters(ordered))

    def grows(self, values: pd.Series[float]) -> bool:
        """Whether more requests of the stream bring new clusters, among those that ``values`` is indexed by.

        A stream asks about ever fewer new media where popular ones come back most, and then its evidence hardly grows:
        that is so where its second half brought less than half as many new clusters as its first.
        """
        clusters = self.cluster[self.cluster.index.isin(values.index)]
        new = ~clusters.duplicated().to_numpy()
        half = -(-len(new) // 2)
        return len(new) < 2 or bool(2 * new[half:].sum() >= new[:half].sum())

    def _times(self, over: str, under: str, warmth: Warmth | None) -> pd.DataFrame:
        pairs = pd.DataFrame({"over": _column(self.ttft, over), "under": _column(self.ttft, under)}).dropna()
        if self.node is not None:  # times of different machines say nothing of each other
            nodes = self.node.loc[pairs.index]
            pairs = pairs[_column(nodes, over) == _column(nodes, under)]
        return pairs if warmth is None else pairs[self.warmth.loc[pairs.index] == warmth.value]


@dataclass(frozen=True)
class PairedDifference:
    """How two runners differ on the requests that both were asked.

    Attributes:
        mean: of the scores, first runner less second.
        interval: of that mean; None where one cluster was seen.
        requests, clusters: how many were compared.
    """

    mean: float
    interval: Interval | None
    requests: int
    clusters: int


def paired_difference(
    frame: pd.DataFrame, workload: str, first: str, second: str, alpha: float
) -> PairedDifference | None:
    """Accuracy of ``first`` less that of ``second``, any two runners; None where no request was asked of both.

    ``frame``: a run, of ``frame.FRAME_COLUMNS``. The interval has the confidence 1 - ``alpha``; a failed request counts
    as wrong.
    """
    records = frame[(frame["workload"] == workload) & frame["runner"].isin((first, second))]
    paired = Paired.of(records, second, [])
    delta = paired.score_delta(first)
    if delta.empty:
        return None
    clusters = paired.clusters(delta)
    changes = Changes.of(delta, clusters)
    return PairedDifference(changes.mean, changes.interval(alpha), changes.requests, changes.clusters)


def _column(table: pd.DataFrame, label: str) -> pd.Series[float]:
    """A runner's column; all NaN for one that has no record yet, as in a run that was cut short."""
    return table[label] if label in table else pd.Series(float("nan"), index=table.index)
