"""How much is known from requests that share their media: as much as from ``Sample.effective_size`` separate ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

PRIOR_CLUSTERS = 5
NO_SPREAD = 1e-20


@dataclass(frozen=True)
class Sample:
    """One value of each request, or several sets of such.

    Attributes:
        values: ``(..., requests)``; those of one cluster stand side by side.
        starts: ``(clusters,)``, the place of each cluster's first value.
    """

    values: Floats
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, values: ArrayLike, clusters: Sequence[str]) -> Sample:
        """One set: ``values`` and ``clusters`` of the same requests, in any order."""
        array, names = np.asarray(values, dtype=np.float64), np.asarray(clusters, dtype=np.str_)
        if array.shape != names.shape:
            raise ValueError(f"{array.size} values but {names.size} clusters")
        order = np.argsort(names, kind="stable")
        _, starts = np.unique(names[order], return_index=True)
        return cls(array[order], starts)

    @property
    def requests(self) -> int:
        """How many values a set has."""
        return int(self.values.shape[-1])

    @property
    def clusters(self) -> int:
        """How many clusters they form."""
        return len(self.starts)

    @property
    def fewest(self) -> float:
        """Of how many separate requests they are worth at least: as if all requests of a cluster were one.

        ``(sum m)^2 / sum m^2`` of the cluster sizes m: few large clusters are worth less than as many equal ones.
        """
        sizes = np.diff(self.starts, append=self.requests)
        return float(self.requests**2 / (sizes**2).sum())

    def effective_size(self) -> Floats:
        """``(...)``: of how many separate requests, each worth -1, 0 or 1, the mean would be as uncertain.

        Requests divided by the design effect (Kish, Survey Sampling, 1965): the variance of the mean that the
        clusters show, never taken for less than if requests were separate, over the variance if values were -1, 0
        and 1 alone.

        What few clusters show is not to be trusted: where hardly any value differs, requests look separate. So the
        worst is mixed in, see ``fewest``: it weighs as much as ``PRIOR_CLUSTERS`` clusters, what is observed as many as
        the spread comes from, ``(sum s)^2 / sum s^2`` of the squared deviations s of each. With no spread at all the
        effective size is ``fewest``. Values are from -1 to 1.
        """
        mean = self.values.mean(axis=-1, keepdims=True)
        deviations = self.values - mean
        together = np.add.reduceat(deviations, self.starts, axis=-1) ** 2
        separate = np.add.reduceat(deviations**2, self.starts, axis=-1)
        largest = np.abs(self.values).sum(axis=-1) - self.requests * mean[..., 0] ** 2
        spread = separate.sum(axis=-1) > NO_SPREAD
        sources = _ratio((together + separate).sum(axis=-1) ** 2, ((together + separate) ** 2).sum(axis=-1), spread)
        observed = _ratio(np.maximum(together.sum(axis=-1), separate.sum(axis=-1)), largest, spread)
        worst = self.requests / self.fewest
        design_effect = (PRIOR_CLUSTERS * worst + sources * observed) / (PRIOR_CLUSTERS + sources)
        size: Floats = self.requests / design_effect
        return size


def _ratio(part: Floats, whole: Floats, where: NDArray[np.bool_]) -> Floats:
    """``part / whole``, 0 elsewhere."""
    return np.divide(part, whole, out=np.zeros_like(part), where=where)
