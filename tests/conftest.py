"""What holds for every test: no network, no model hub, fixed seeds, GPU tests only where there is a GPU.

And what the tests of several rooms need: tiny models of every family, and films.
"""

from __future__ import annotations

import io
import ipaddress
import json
import os
import random
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
os.environ["HF_DATASETS_CACHE"] = str(Path(tempfile.gettempdir()) / "vlcache-tests")  # locks of what is read in place
os.environ.setdefault("OMP_NUM_THREADS", "2")  # tiny tensors gain nothing from more
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

FAMILIES = Path(__file__).parent / "engine_tests" / "families"
DOUBLED = ("q_proj.weight", "k_proj.weight", "o_proj.weight", "down_proj.weight")

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--method package.module:Class`` runs the laws on a method of one's own; see docs/adding-a-method.md."""
    parser.addoption(
        "--method",
        action="append",
        default=[],
        metavar="PACKAGE.MODULE:CLASS",
        help="run those tests alone that hold for every method, and on this one; repeatable",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what ``--method`` asks for, and skip what is marked ``gpu`` where torch finds no CUDA device."""
    if config.getoption("--method"):
        others = [item for item in items if not item.get_closest_marker("every_method")]
        items[:] = [item for item in items if item not in others]
        config.hook.pytest_deselected(items=others)
    _skip_without_gpu(items)


def _skip_without_gpu(items: list[pytest.Item]) -> None:
    """Skip what is marked ``gpu`` where torch finds no CUDA device; torch is loaded only to answer that."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What stderr says, on one line, of a small bench whose arguments are a mistake."""
    from vlcache_cli.app import main

    def ask(*arguments: str) -> str:
        run = str(tmp_path / "run")
        usual = ("bench", "--workload", "doc-qa", "--samples", "2", "--runner", "full", "--output", run)
        assert main([*usual, *arguments]) == 2
        return " ".join(capsys.readouterr().err.split())

    return ask


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse every connection that would leave this machine."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_locally(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise RuntimeError(f"a test tried to reach {address}")
        connect(self, address)

    def look_up_locally(host: Any, *args: Any, **options: Any) -> Any:
        if host is not None and not _is_local(host):
            raise RuntimeError(f"a test tried to look up {host}")
        return look_up(host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_locally)
        patch.setattr(socket, "getaddrinfo", look_up_locally)
        yield


@dataclass(frozen=True)
class Family:
    """A family of models, and a tiny checkpoint of it in the real format, with random weights.

    Attributes:
        own: its file in ``engine_tests/families``, called as that of its adapter. A function named as the model type
            gives model, tokenizer and image processor; ``NOISE``, if any, the standard deviation of more weights by
            pattern, the first that fits; ``FILES``, if any, JSON files beside those that these three save.
    """

    name: str
    own: ModuleType
    path: Path


@pytest.fixture(scope="session")
def family_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Family]:
    """A family by its model type, its checkpoint made once."""
    return cache(lambda name: _build_family(name, tmp_path_factory.mktemp(name)))


def _build_family(name: str, path: Path) -> Family:
    """Save its checkpoint, scaled so that attention is far from flat."""
    import torch

    from runners.engine.adapters.registry import ADAPTERS

    adapter = ADAPTERS[name].split(":")[0].split(".")[-1]
    spec = spec_from_file_location(f"family_{adapter}", FAMILIES / f"{adapter}.py")
    assert spec is not None
    assert spec.loader is not None
    own = module_from_spec(spec)
    spec.loader.exec_module(own)
    torch.manual_seed(0)
    parts = model, *_ = getattr(own, name)()
    noise = getattr(own, "NOISE", {})
    with torch.no_grad():
        for weight_name, weight in model.named_parameters():
            if weight_name.endswith(DOUBLED):
                weight.mul_(2.0)
            elif std := next((std for pattern, std in noise.items() if fnmatch(weight_name, pattern)), 0.0):
                weight.normal_(std=std)
    for part in parts:
        part.save_pretrained(path)
    for file, content in getattr(own, "FILES", {}).items():
        (path / file).write_text(json.dumps(content))
    return Family(name, own, path)


@pytest.fixture(scope="session")
def reader_folder() -> Path:
    """The reader in the user's cache folder, built if it is not there; skips the test without what it is built from."""
    from runners.reader.cache import find_or_build
    from runners.reader.weights import INSTALL, missing_packages

    if missing_packages():
        pytest.skip(f"the model 'reader' is not installed: {INSTALL}")
    return find_or_build(lambda step: None)


@pytest.fixture(scope="session")
def make_film() -> Callable[..., bytes]:
    """Encodes a video whose frame ``i`` is grey, as bright as ``i`` times ``step``; skips the test without PyAV."""
    av = pytest.importorskip("av", reason="needs PyAV, which comes with the extra 'video'")

    def make(
        frames: int = 12,
        file_format: str = "mp4",
        codec: str = "libx264",
        fps: int = 10,
        size: tuple[int, int] = (64, 48),
        key_every: int = 5,
        step: int = 8,
    ) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format=file_format) as container:
            options = {"crf": "1"} if codec in ("libx264", "libvpx-vp9") else {}
            stream = container.add_stream(codec, rate=fps, options=options)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p" if codec != "png" else "rgb24"
            stream.codec_context.gop_size = key_every
            for number in range(frames):
                pixels = np.full((size[1], size[0], 3), number * step % 256, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
        return file.getvalue()

    return make


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Start every test from the same global random state."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def _is_local(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


SCRIPTS = Path(__file__).parents[1] / "docs" / "benchmarks"


@pytest.fixture(scope="session")
def script_of() -> Iterator[Callable[[str], ModuleType]]:
    """A script by its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)  # as for a script that is run

        def load(name: str) -> ModuleType:
            spec = spec_from_file_location(f"benchmark_{name}", SCRIPTS / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            patch.setitem(sys.modules, spec.name, module)  # where dataclasses look their module up
            spec.loader.exec_module(module)
            return module

        yield cache(load)
