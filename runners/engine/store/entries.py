"""What the store keeps of a medium."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from runners.engine.kv.quantise import Quantised
from runners.engine.shapes import MediaGrid


@dataclass(frozen=True)
class Probe:
    """What the drift probe needs of the donor, for the probed layers.

    Attributes:
        q: queries before RoPE, ``(layers, heads, tokens, head_dim)``, quantised.
        outputs: sketches of the attention outputs the tokens had, ``(layers, tokens, width)``.
    """

    q: Quantised
    outputs: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.q.nbytes + self.outputs.nbytes

    def copied(self, copy: Callable[[Tensor], Tensor]) -> Probe:
        """The same with a ``copy`` of every tensor."""
        q = replace(self.q, values=copy(self.q.values), scale=copy(self.q.scale))
        return Probe(q, copy(self.outputs))

    def only(self, rows: list[int]) -> Probe:
        """The probe of some of its layers, by their place in it."""
        return Probe(Quantised(self.q.values[rows], self.q.scale[rows], self.q.dtype), self.outputs[rows])


@dataclass(frozen=True)
class DonorKV:
    """Keys and values of a medium as computed in its donor request.

    Attributes:
        k: before RoPE, ``(layers, kv_heads, tokens, head_dim)``.
        v: same shape.
        position: where the medium started in the donor.
        exact: whether all that stood before it there was computed, not reused.
        probe: see ``Probe``; None unless a method asked for it.
    """

    k: Tensor
    v: Tensor
    position: int
    exact: bool
    probe: Probe | None = None

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.k.nbytes + self.v.nbytes + (self.probe.nbytes if self.probe else 0)

    def copied(self, copy: Callable[[Tensor], Tensor]) -> DonorKV:
        """The same with a ``copy`` of every tensor."""
        probe = self.probe.copied(copy) if self.probe else None
        return replace(self, k=copy(self.k), v=copy(self.v), probe=probe)


@dataclass(frozen=True)
class MediaEntry:
    """A medium's encoder output, ``(tokens, hidden)``, and its keys and values where a method reuses them.

    Attributes:
        on_host: whether the tensors are the host tier's, and have to be fetched.
    """

    grid: MediaGrid
    features: Tensor
    donor: DonorKV | None = None
    on_host: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.features.nbytes + (self.donor.nbytes if self.donor else 0)

    def for_host(self, copy: Callable[[Tensor], Tensor]) -> MediaEntry:
        """The entry of the host tier, with a ``copy`` of every tensor."""
        donor = self.donor.copied(copy) if self.donor else None
        return replace(self, features=copy(self.features), donor=donor, on_host=True)


@dataclass(frozen=True)
class PrefixEntry:
    """Exact keys (after RoPE) and values of the first tokens of a request.

    Attributes:
        symbols: the tokens, ``(tokens,)`` int64; see ``prompt.Layout``.
        k, v: each ``(layers, kv_heads, tokens, head_dim)``.
        on_host: whether they are the host tier's, and have to be fetched.
    """

    symbols: Tensor
    k: Tensor
    v: Tensor
    on_host: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.symbols.nbytes + self.k.nbytes + self.v.nbytes

    def for_host(self, copy: Callable[[Tensor], Tensor]) -> PrefixEntry:
        """The entry of the host tier, with a ``copy`` of keys and values."""
        return replace(self, k=copy(self.k), v=copy(self.v), on_host=True)


Entry = MediaEntry | PrefixEntry
