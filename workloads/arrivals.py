"""Draw when requests arrive: a Poisson process, gamma or constant gaps, or bursts, at a mean rate.

Gamma gaps with a coefficient of variation are what production traffic was found to have (ServeGen, arXiv 2505.09999);
Poisson is the gamma process of 1, constant that of 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from workloads.reading import brief

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Process = Literal["poisson", "gamma", "constant", "burst"]
LARGEST_CV = 100.0
LARGEST_BURST = 10_000
FASTEST = 1e6


@dataclass(frozen=True)
class Arrivals:
    """A process of arrivals.

    Attributes:
        rate: mean, in requests a second.
        cv: coefficient of variation of the gaps of a gamma process.
        burst: requests that arrive at once; bursts follow each other at equal gaps.
    """

    process: Process
    rate: float
    cv: float = 1.0
    burst: int = 1

    @classmethod
    def read(cls, text: str, rate: float) -> Self:
        """Read ``poisson``, ``constant``, ``gamma:CV`` or ``burst:N``.

        Raises:
            ValueError: with the end of a sentence that begins with the name of the setting.
        """
        name, colon, number = text.partition(":")
        try:
            if name in ("poisson", "constant") and not colon:
                return cls("poisson" if name == "poisson" else "constant", rate)
            if name == "gamma" and 0 < float(number) <= LARGEST_CV:
                return cls("gamma", rate, cv=float(number))
            if name == "burst" and 1 <= int(number) <= LARGEST_BURST:
                return cls("burst", rate, burst=int(number))
        except ValueError:
            pass
        raise ValueError(
            f"must be poisson, constant, gamma:CV (above 0, up to {LARGEST_CV:g}), burst:N (1 to {LARGEST_BURST}), "
            f"trace or trace:SPEED, not {brief(text)}"
        )

    def times(self, count: int, seed: int, name: str) -> NDArray[np.float64]:
        """Draw when each of ``count`` requests arrives, in seconds since the first, ``(count,)``, ascending.

        Args:
            name: of the stream; another one is drawn independently.
        """
        import numpy as np

        from workloads.seeding import stream

        order = np.arange(count, dtype=np.float64)
        if self.process == "constant":
            return order / self.rate
        if self.process == "burst":
            return (order // self.burst) * (self.burst / self.rate)
        cv = self.cv if self.process == "gamma" else 1.0
        gaps = stream("bench", "arrivals", seed, name).gamma(1 / cv**2, cv**2 / self.rate, count)
        gaps[:1] = 0.0
        times: NDArray[np.float64] = np.cumsum(gaps)
        return times


def speed_of_trace(text: str) -> float | None:
    """Read ``trace`` or ``trace:SPEED``: how many times as fast requests come as they did; None for anything else.

    Raises:
        ValueError: the speed is none, with the end of a sentence that begins with the name of the setting.
    """
    name, colon, number = text.partition(":")
    if name != "trace":
        return None
    try:
        speed = float(number) if colon else 1.0
    except ValueError:
        speed = 0.0
    if not 0 < speed <= FASTEST:
        raise ValueError(f"must be trace:SPEED with a number above 0, up to {FASTEST:g}, not {brief(text)}")
    return speed
