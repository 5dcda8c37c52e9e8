"""Find and load a model: the embedded one, a Hugging Face directory, one of the hub, or a published shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from logging import CRITICAL
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runners.builtin import MODEL_DIR
from runners.engine.attention.backends import choose_backend
from runners.engine.media.sampling import DEFAULT_SAMPLING, FrameSampling
from runners.models import hub
from runners.models.choices import AUTO, SINGLE
from runners.models.environment import describe_device
from runners.models.shapes.catalogue import Shape, find_shape, published
from runners.profile import FILE_NAME, ModelProfile, load_profile, plain, read_profile
from runners.reader import cache as reader
from workloads.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from runners.engine.adapters.base import Adapter
    from runners.engine.kv.workspace import Workspace

MODELS = {
    "builtin": "the embedded Qwen2.5-VL of 1.6 million parameters, trained on the project's own workloads",
    "reader": "SmolLM2-135M-Instruct (30 layers, pretrained) that reads pages of printed words; built once, see README",
}
SHAPE = "shape:"  # before the name of one

Source = Path | Shape
"""What a model is made from: a directory with its files, or its published shape."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to answer, and what identifies it.

    Attributes:
        workspace: memory for the keys and values of a request, shared by all runners of the model.
        random_weights: whether it has the published shape of a model and no more: its answers mean nothing.
        revision: the commit on the hub; None for a model from elsewhere.
    """

    name: str
    adapter: Adapter
    workspace: Workspace
    fingerprint: str
    profile: ModelProfile
    random_weights: bool = False
    revision: str | None = None

    def describe(self) -> dict[str, Any]:
        """For the manifest, as plain types."""
        from runners.engine.graphs.policy import obstacle

        return {
            "name": self.name,
            "revision": self.revision,
            "fingerprint": self.fingerprint,
            "processor": self.adapter.processor_fingerprint(),
            "random_weights": self.random_weights,
            "data_dependent_stopping": not self.random_weights,
            "attention": self.adapter.attention.name,
            "fused": list(self.adapter.fused),
            "graphs": obstacle(self.adapter) or "recorded behind the answer",
            "dtype": str(self.adapter.dtype).removeprefix("torch."),
            "device": _name_device(self.adapter),
            **describe_device(self.adapter.device),
            "profile": plain(asdict(self.profile)),
            "layers": self.adapter.shape.layers,
        }

    def ceilings(self) -> dict[str, float]:
        """Measure what the device reaches with the model's numbers, see ``roofline.Ceilings``; takes under a second.

        Of a model in several processes it is what their devices reach together: all measure at the same time.
        """
        import torch

        from runners.engine.measure.roofline import measure_ceilings
        from runners.engine.parallel import sum_over_ranks

        adapter = self.adapter
        own = asdict(measure_ceilings(adapter.device, adapter.dtype, adapter.weight_bytes))
        rates = sum_over_ranks(torch.tensor([*own.values()], dtype=torch.float64))
        return dict(zip(own, rates.tolist(), strict=True))


def _name_device(adapter: Adapter) -> str:
    """Name the device; the kind of them and their number where several processes share the model."""
    parts = adapter.shape.parts
    return str(adapter.device) if parts == 1 else f"{parts} x {adapter.device.type}"


def describe_models() -> dict[str, str]:
    """Describe in a line every model that has a name of its own."""
    shapes = {
        f"{SHAPE}{name}": f"random weights in the shape of {shape.source}, {shape.billions:g} billion parameters"
        for name, shape in published().items()
    }
    return {**MODELS, **shapes}


def tell_nobody(text: str) -> None:
    """Drop what could be told about a long preparation."""


def resolve_model(name: str, revision: str | None = None, tell: Callable[[str], None] = tell_nobody) -> Source:
    """Find what a model is made from, by its name, path or hub id.

    A model of the hub is downloaded, the reader is built, each once.

    Args:
        tell: is told what is being done while the reader is built.

    Raises:
        UsageError: there is none, or it cannot be had.
    """
    path = MODEL_DIR if name == "builtin" else Path(name)
    on_hub = name not in MODELS and not path.is_dir() and hub.is_id(name)
    if revision is not None and not on_hub:
        raise UsageError(f"--revision is for models on the hub, and '{name}' is not the id of one: drop it")
    if name.startswith(SHAPE):
        return find_shape(name.removeprefix(SHAPE))
    if name == "reader":
        path = reader.find_or_build(tell)
    if on_hub:
        path = hub.download(name, revision)
    if not path.is_dir():
        if name in MODELS:
            raise UsageError(f"the model '{name}' is not installed: {path.name}/ is missing from the package")
        raise UsageError(
            f"{unknown_name('model', name, describe_models())}; or give a directory with a Hugging Face model, "
            "or a model on the hub, as owner/name"
        )
    if not (path / "config.json").is_file():
        raise UsageError(f"'{name}' is not a Hugging Face model directory: it has no config.json")
    if not list(path.glob("*.safetensors")):
        raise UsageError(f"'{name}' has no *.safetensors weights (pickled weights are never loaded)")
    return path


def load_model(
    name: str,
    source: Source,
    dtype: str = AUTO,
    device: str = AUTO,
    profile: Path | None = None,
    device_map: str = SINGLE,
    attention: str = AUTO,
    sampling: FrameSampling = DEFAULT_SAMPLING,
) -> LoadedModel:
    """Load or draw the weights, with tokenizer and image processor, offline; UsageError for what cannot run here.

    Args:
        dtype: of the weights; ``auto`` is float32 for files, and bfloat16 for a shape, as published.
        device, device_map: see ``placement.place``.
        profile: file with what was measured for the model; that beside its weights, if any, when None; of the reader
            else that which comes with vlcache.
        attention: a name of ``engine.backends``, or ``auto``.
        sampling: which frames of videos are looked at.
    """
    import torch
    from transformers.utils import logging

    from runners.engine.adapters.registry import build_adapter
    from runners.engine.errors import UnsupportedModel
    from runners.engine.graphs.policy import graphs_of
    from runners.engine.kv.workspace import Workspace
    from runners.engine.parallel import require_agreement
    from runners.models import checkpoint
    from runners.models.shapes import assembly

    logging.set_verbosity(CRITICAL)  # what is wrong is told once, as an error
    logging.disable_progress_bar()
    default = torch.bfloat16 if isinstance(source, Shape) else torch.float32
    numbers = default if dtype == AUTO else getattr(torch, dtype)
    likely = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    choose_backend(attention, likely, numbers)  # what cannot run is said before any weights are read
    try:
        if isinstance(source, Shape):
            adapter = build_adapter(*assembly.assemble(name, source, numbers, device, device_map), sampling)
            fingerprint = assembly.fingerprint(source)
        else:
            adapter, fingerprint = checkpoint.load_checkpoint(name, source, numbers, device, device_map, sampling)
    except UnsupportedModel as error:
        raise UsageError(f"model '{name}': {error}") from error
    require_agreement("the files of the model", fingerprint.encode)
    if adapter.device.type == "cuda":  # on a CPU one product is no faster than those that it stands for
        adapter.fuse()
    adapter.attention = choose_backend(attention, adapter.device, adapter.dtype, adapter.shape.head_dim)
    workspace = Workspace(adapter.kv_shape, graphs_of(adapter))
    layers = adapter.shape.layers
    measured = ModelProfile() if profile is None else read_profile(profile, layers)
    if isinstance(source, Shape):
        return LoadedModel(name, adapter, workspace, fingerprint, measured, random_weights=True)
    if profile is None:
        own = name != "reader" or (source / FILE_NAME).exists()
        measured = load_profile(source if own else reader.PROFILE_FOLDER, layers)
    revision = hub.revision_of(source)
    return LoadedModel(name, adapter, workspace, fingerprint, measured, revision=revision)
