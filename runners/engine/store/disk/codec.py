"""Turn entries into what a file describes and holds, and back, checked against the model that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, BinaryIO

import numpy as np
import torch
from annotated_types import Interval, Len
from blake3 import blake3
from numpy.typing import NDArray
from torch import Tensor

from runners.engine.kv.quantise import Quantised, restore_channels
from runners.engine.shapes import MediaGrid
from runners.engine.store.disk.file import (
    About,
    BadEntry,
    Description,
    Kind,
    StoredTensor,
    digest_of,
    read_tensors,
)
from runners.engine.store.entries import DonorKV, MediaEntry, PackedMedia, PrefixEntry, Probe
from runners.engine.store.symbols import Symbols
from workloads.errors import UsageError
from workloads.reading import check
from workloads.records import MediaKind

DTYPES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int8: "I8",
}
NAMES: dict[str, torch.dtype] = {name: dtype for dtype, name in DTYPES.items()}
Whole = Annotated[int, Interval(ge=0, le=1 << 31)]


@dataclass(frozen=True)
class EntrySizes:
    """Sizes that the entries of a model have, all but the number of tokens.

    Attributes:
        features: width of a row of encoder output.
        probes: layers of a donor's probe; 0 where it has none.
        sketch: width of a sketch in a probe.
        media_tokens: number of tokens of a medium of a size.
        context: most tokens of a prompt, and so of an entry.
        packs: whether keys and values of donors are in 8 bits.
    """

    layers: int
    kv_heads: int
    head_dim: int
    dtype: torch.dtype
    features: int
    heads: int
    probes: int
    sketch: int
    media_tokens: Callable[[MediaGrid], int]
    context: int
    packs: bool = False


@dataclass(frozen=True)
class _Grid:
    kind: MediaKind
    time: Whole
    height: Whole
    width: Whole
    seconds_per_step: float
    timestamps: Annotated[tuple[float, ...], Len(0, 50_000)]


@dataclass(frozen=True)
class _MediaFields:
    grid: _Grid
    position: Whole | None
    exact: bool


@dataclass(frozen=True)
class _PrefixFields:
    media: Annotated[tuple[Annotated[str, Len(64, 64)], ...], Len(0, 10_000)]


@dataclass(frozen=True)
class PortablePrefix:
    """An exact prefix whose symbols hold in every process, see ``SymbolTable.portable``."""

    entry: PrefixEntry
    media: tuple[str, ...]


def describe(
    scope: str, kind: Kind, key: str, about: About, entry: MediaEntry | PackedMedia | PortablePrefix
) -> tuple[Description, list[memoryview]]:
    """Describe an entry, and give the bytes of its tensors in order. Copies what lies on the device."""
    fields: dict[str, Any]
    if isinstance(entry, PackedMedia):
        fields, named = _fields_of(entry.entry), _tensors_of(entry.entry)
        for name, part in (("k", entry.k), ("v", entry.v)):
            del named[name]
            named |= {f"{name}.q": part.values, f"{name}.scale": part.scale}
    elif isinstance(entry, MediaEntry):
        fields, named = _fields_of(entry), _tensors_of(entry)
    else:
        fields = {"media": list(entry.media)}
        named = {"symbols": entry.entry.symbols, "k": entry.entry.k, "v": entry.entry.v}
    bytes_of = {name: _bytes_of(tensor) for name, tensor in named.items()}
    stored = tuple(
        StoredTensor(name, DTYPES[tensor.dtype], tuple(tensor.shape), digest_of(bytes_of[name]))  # type: ignore[arg-type]
        for name, tensor in named.items()
    )
    return Description(scope, kind, key, about, fields, stored), list(bytes_of.values())


def _fields_of(entry: MediaEntry) -> dict[str, Any]:
    donor = entry.donor
    return {
        "grid": asdict(entry.grid),
        "position": None if donor is None else donor.position,
        "exact": donor is not None and donor.exact,
    }


def _tensors_of(entry: MediaEntry) -> dict[str, Tensor]:
    """The tensors of a medium by name."""
    named = {"features": entry.features}
    if entry.donor is not None:
        named |= {"k": entry.donor.k, "v": entry.donor.v}
        if (probe := entry.donor.probe) is not None:
            named |= {"probe.q": probe.q.values, "probe.scale": probe.q.scale, "probe.outputs": probe.outputs}
    return named


def read_media(stream: BinaryIO, description: Description, sizes: EntrySizes, pin: bool) -> MediaEntry:
    """Read a medium from the file that ``description`` was read from.

    Args:
        pin: whether the tensors lie in pinned memory, so that copies to a GPU do not block.

    Raises:
        BadEntry: shapes or numbers are not those of the model, or a tensor fails its checksum.
    """
    fields = _checked(description, _MediaFields)
    tokens, donor = _tokens(description, sizes), fields.position is not None
    _require_tokens(sizes, MediaGrid(**asdict(fields.grid)), tokens)
    _require_shapes(description.tensors, _media_shapes(sizes, tokens, donor))
    found = _read(stream, description.tensors, pin)
    kv = None
    if fields.position is not None:
        probe = None
        if "probe.q" in found:
            queries = Quantised(found["probe.q"], found["probe.scale"], sizes.dtype)
            probe = Probe(queries, found["probe.outputs"])
        k, v = ((_restored(found, name, sizes) if sizes.packs else found[name]) for name in ("k", "v"))
        kv = DonorKV(k, v, fields.position, fields.exact, probe)
    return MediaEntry(MediaGrid(**asdict(fields.grid)), found["features"], kv, on_host=True, on_disk=True)


def _restored(found: dict[str, Tensor], name: str, sizes: EntrySizes) -> Tensor:
    return restore_channels(Quantised(found[f"{name}.q"], found[f"{name}.scale"], sizes.dtype))


def read_prefix(stream: BinaryIO, description: Description, sizes: EntrySizes, pin: bool) -> PortablePrefix:
    """Read an exact prefix; arguments and errors as of ``read_media``."""
    fields = _checked(description, _PrefixFields)
    tokens = _tokens(description, sizes)
    _require_shapes(description.tensors, _prefix_shapes(sizes, tokens))
    found = _read(stream, description.tensors, pin)
    return PortablePrefix(PrefixEntry(found["symbols"], found["k"], found["v"], True, True), fields.media)


def read_symbols(stream: BinaryIO, description: Description, sizes: EntrySizes) -> tuple[Tensor, tuple[str, ...]]:
    """Read the symbols of a prefix alone, and the content keys of its media; errors as of ``read_media``."""
    fields = _checked(description, _PrefixFields)
    _require_shapes(description.tensors, _prefix_shapes(sizes, _tokens(description, sizes)))
    return _read(stream, description.tensors[:1], pin=False)["symbols"], fields.media


def _checked(description: Description, kind: Any) -> Any:
    try:
        return check(description.fields, kind)
    except UsageError as error:
        raise BadEntry(f"its fields are wrong: {error}") from error


def _tokens(description: Description, sizes: EntrySizes) -> int:
    """Tokens of an entry, by its first tensor; BadEntry where no prompt has so many."""
    shape = description.tensors[0].shape
    tokens = shape[0] if shape else 0
    if not 0 < tokens <= sizes.context:
        raise BadEntry(f"it has {tokens} tokens, and a prompt {sizes.context} at most")
    return tokens


def _require_tokens(sizes: EntrySizes, grid: MediaGrid, tokens: int) -> None:
    try:
        expected = sizes.media_tokens(grid)
    except (ArithmeticError, ValueError, LookupError) as error:
        raise BadEntry("its medium has no such size") from error
    if tokens != expected:
        raise BadEntry(f"it has {tokens} tokens, and its medium has {expected}")


Shapes = dict[str, tuple[str, tuple[int, ...]]]


def _media_shapes(sizes: EntrySizes, tokens: int, donor: bool) -> Shapes:
    """Types and shapes of the tensors of a medium, in their order."""
    number = DTYPES[sizes.dtype]
    shapes: Shapes = {"features": (number, (tokens, sizes.features))}
    if donor:
        kv = (number, (sizes.layers, sizes.kv_heads, tokens, sizes.head_dim))
        if not sizes.packs:
            shapes |= {"k": kv, "v": kv}
        if sizes.probes:
            shapes["probe.q"] = "I8", (sizes.probes, sizes.heads, tokens, sizes.head_dim)
            shapes["probe.scale"] = "F32", (sizes.probes, sizes.heads, tokens, 1)
            shapes["probe.outputs"] = number, (sizes.probes, tokens, sizes.sketch)
        for name in ("k", "v") if sizes.packs else ():
            shapes[f"{name}.q"] = "I8", (sizes.layers, sizes.kv_heads, sizes.head_dim, tokens)
            shapes[f"{name}.scale"] = "F32", (sizes.layers, sizes.kv_heads, sizes.head_dim, 1)
    return shapes


def _prefix_shapes(sizes: EntrySizes, tokens: int) -> Shapes:
    kv = (DTYPES[sizes.dtype], (sizes.layers, sizes.kv_heads, tokens, sizes.head_dim))
    return {"symbols": ("I64", (tokens,)), "k": kv, "v": kv}


def _require_shapes(tensors: Sequence[StoredTensor], expected: Shapes) -> None:
    """Check names, order, types and shapes before anything is allocated."""
    found = {tensor.name: (tensor.dtype, tensor.shape) for tensor in tensors}
    if list(found) != list(expected) or len(found) != len(tensors) or found != expected:
        raise BadEntry("its tensors are not those of the model")


def _read(stream: BinaryIO, tensors: Sequence[StoredTensor], pin: bool) -> dict[str, Tensor]:
    rooms = {tensor.name: torch.empty(tensor.shape, dtype=NAMES[tensor.dtype], pin_memory=pin) for tensor in tensors}
    read_tensors(stream, tensors, [_bytes_of(room) for room in rooms.values()])
    return rooms


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor: its own memory where it is contiguous on the host, else a copy's."""
    whole = tensor.detach().to("cpu").contiguous()
    numbers: NDArray[np.uint8] = whole.reshape(-1).view(torch.uint8).numpy()
    return numbers.data


def prefix_key(symbols: Symbols, media: Sequence[str]) -> str:
    """The identity of an exact prefix: a hash of its portable symbols and of the content keys in them."""
    hasher = blake3("\x00".join(media).encode())
    hasher.update(symbols.tobytes())
    return str(hasher.hexdigest())
