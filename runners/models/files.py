"""Choose and check the files of a model folder that are loaded, and hash exactly these.

transformers reads the folder by itself, and follows what some files name; so what it would read is listed here before,
and whatever would lead it to other files is refused: pickled weights, files elsewhere, links out of the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from runners.builtin import MODEL_DIR
from workloads.errors import UsageError
from workloads.reading import Text, brief_name, keys, read_json
from workloads.reading.regular import bounded, open_regular

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TEMPLATES = "additional_chat_templates"
DISTRIBUTED = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")  # transformers would prefer such files

MIB = 1 << 20
BOUNDS = {
    **dict.fromkeys((CONFIG, "generation_config.json", "preprocessor_config.json", "processor_config.json"), MIB),
    **dict.fromkeys(("video_preprocessor_config.json", ADAPTER_CONFIG), MIB),
    **dict.fromkeys(("chat_template.json", "chat_template.jinja", "special_tokens_map.json"), MIB),
    **dict.fromkeys(("tokenizer_config.json", "added_tokens.json"), 8 * MIB),
    **dict.fromkeys(("tokenizer.json", "vocab.json", "merges.txt", "vocab.txt", "tekken.json"), 64 * MIB),
    **dict.fromkeys(("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tiktoken.model"), 64 * MIB),
    **dict.fromkeys(("sentencepiece.model", "spm.model", "spm_char.model", "source.spm", "target.spm"), 64 * MIB),
    **dict.fromkeys(("vocab-src.json", "vocab-tgt.json", "target_vocab.json", "entity_vocab.json"), 64 * MIB),
    **dict.fromkeys(("word_shape.json", "word_pronunciation.json", "byte_maps.json", "normalizer.json"), 8 * MIB),
    **dict.fromkeys(("emoji.json", "dict.txt", "bpe.codes", "prophetnet.tokenizer"), 8 * MIB),
    INDEX: 32 * MIB,
}
"""The most bytes that each file besides weights may have. No other file is read."""
TEMPLATE_BYTES = MIB
MOST_TEMPLATES, MOST_SHARDS = 32, 10_000

REDIRECTIONS = frozenset(
    (
        *("configuration_files", "fast_tokenizer_files", "transformers_weights", "extra_files", "distributed_config"),
        *("backbone", "use_timm_backbone", "use_pretrained_backbone"),
    )
)
"""Keys by which settings make transformers read, or download, other files."""
KERNELS = frozenset(f"{start}{kind}_implementation" for start in ("", "_") for kind in ("attn", "experts"))
"""Keys whose value may be a repository with compiled code."""


@keys("ignore")
@dataclass(frozen=True)
class _Index:
    """An index of weights: the file that holds each."""

    weight_map: dict[str, Text]


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model that are loaded.

    Attributes:
        settings: names of the files besides weights, in the folder.
        weights: names of the files with its weights, those of the adapter left out.
        adapter: whether an adapter (LoRA) lies beside the weights.
    """

    folder: Path
    settings: tuple[str, ...]
    weights: tuple[str, ...]
    adapter: bool

    def check(self) -> None:
        """Check the files besides weights.

        Raises:
            UsageError: one cannot be read, is too large, is no JSON where it should be, or leads to other files; the
                text begins with its name.
        """
        for name in self.settings:
            data = _read(self.folder, name)
            if name.endswith(".json"):
                _refuse_redirections(name, read_json(data, dict[str, Any], name))

    def read(self, name: str) -> Any:
        """Read a JSON file of the model as a mapping; an empty one when the model has no such file.

        Raises:
            UsageError: it cannot be read, or is no mapping; the text begins with its name.
        """
        if name not in self.settings:
            return {}
        return read_json(_read(self.folder, name), dict[str, Any], name)

    def fingerprint(self) -> str:
        """Hash the files that are loaded (BLAKE3): settings, tokenizer and weights."""
        hasher = blake3()
        adapter = (ADAPTER_WEIGHTS,) if self.adapter else ()
        for name in sorted({*self.settings, *self.weights, *adapter}):
            file = _require_regular(self.folder, name)
            hasher.update(f"{name}\x00{file.stat().st_size}\x00".encode())
            hasher.update_mmap(file)
        return str(hasher.hexdigest())


def survey(folder: Path) -> ModelFiles:
    """Find the files of a model that transformers would load.

    Raises:
        UsageError: one is missing, is no regular file, is a link out of the folder, or the index names others than
            safetensors in it; the text begins with the file's name.
    """
    present = sorted(entry.name for entry in folder.iterdir())
    settings = [name for name in present if name in BOUNDS and name != INDEX]
    for name in present:
        if DISTRIBUTED.match(name):
            raise UsageError(f"{brief_name(name)} is part of a distributed checkpoint: save the model whole")
    weights: tuple[str, ...] = (WHOLE,)
    if WHOLE not in present:
        if INDEX not in present:
            raise UsageError(f"it has neither {WHOLE} nor {INDEX}")
        settings.append(INDEX)
        weights = _indexed(folder)
    for name in weights:
        _require_regular(folder, name)
    if (ADAPTER_CONFIG in present) != (ADAPTER_WEIGHTS in present):
        lone, other = (ADAPTER_CONFIG, ADAPTER_WEIGHTS)[:: 1 if ADAPTER_CONFIG in present else -1]
        raise UsageError(f"{lone} is part of an adapter, and {other} is missing beside it: add it, or remove {lone}")
    files = ModelFiles(folder, (*settings, *_templates(folder, present)), weights, ADAPTER_CONFIG in present)
    if files.adapter:
        _require_regular(folder, ADAPTER_WEIGHTS)
    for name in files.settings:
        _require_regular(folder, name)
    return files


def read_model_file(folder: Path, name: str, most: int) -> bytes:
    """Read a file of a model folder, of at most ``most`` bytes.

    Raises:
        UsageError: it cannot be read, is no regular file, is too large, or is a link out of the folder; the text begins
            with its name.
    """
    try:
        with open_regular(_require_regular(folder, name)) as stream:
            return bounded(stream, Path(name), most, "file of a model")
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from error


def _read(folder: Path, name: str) -> bytes:
    return read_model_file(folder, name, BOUNDS.get(name, TEMPLATE_BYTES))


def _templates(folder: Path, present: list[str]) -> Iterator[str]:
    """Names of the chat templates in a folder of their own, which transformers reads with the tokenizer."""
    if TEMPLATES not in present or not (folder / TEMPLATES).is_dir():
        return
    names = sorted(entry.name for entry in (folder / TEMPLATES).iterdir() if entry.suffix == ".jinja")
    if len(names) > MOST_TEMPLATES:
        raise UsageError(f"{TEMPLATES} holds more than {MOST_TEMPLATES} chat templates")
    yield from (f"{TEMPLATES}/{name}" for name in names)


def _indexed(folder: Path) -> tuple[str, ...]:
    """Names of the files that the index names, each once; UsageError unless all are safetensors in this folder."""
    index = read_json(_read(folder, INDEX), _Index, INDEX)
    names = sorted(set(index.weight_map.values()))
    if not names:
        raise UsageError(f"{INDEX} names no weights")
    for name in names:
        if Path(name).name != name or "/" in name or "\\" in name or name.startswith("."):
            raise UsageError(f"{INDEX} names {brief_name(name)}: weights are read from the model's own folder alone")
        if not name.endswith(".safetensors"):
            raise UsageError(f"{INDEX} names {brief_name(name)}: weights are read from *.safetensors alone")
        if name == ADAPTER_WEIGHTS:
            raise UsageError(f"{INDEX} names {name}, which holds an adapter")
    if len(names) > MOST_SHARDS:
        raise UsageError(f"{INDEX} names more than {MOST_SHARDS} files")
    return tuple(names)


def _require_regular(folder: Path, name: str) -> Path:
    """The path of a file in a model folder; UsageError when it is a link out of it, or no regular file.

    In the hub's cache files are links to ``blobs``, beside ``snapshots``: they may be, and lead to nowhere else. The
    embedded model is installed with the package, as links by some installers.
    """
    path = folder / name
    try:
        real = Path(os.path.realpath(path, strict=True))
        home = Path(os.path.realpath(folder, strict=True))
        with open_regular(real):
            pass
    except (OSError, ValueError) as error:
        raise UsageError(f"{brief_name(name)} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    blobs = home.parent.parent / "blobs" if home.parent.name == "snapshots" else home
    if folder != MODEL_DIR and not real.is_relative_to(home) and not real.is_relative_to(blobs):
        raise UsageError(
            f"{name} is a link out of the model's folder, which is not followed: put the file itself there"
        )
    return path


def _refuse_redirections(name: str, value: Any) -> None:
    """UsageError when settings lead to files besides those that are checked and hashed."""
    if isinstance(value, list):
        for item in value:
            _refuse_redirections(name, item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key in REDIRECTIONS and item:
            raise UsageError(f"{name}: {key} leads to other files, which are not read; remove it")
        if key in KERNELS and isinstance(item, str) and "/" in item:
            raise UsageError(f"{name}: {key} names a repository with code, which is not run; remove it")
        _refuse_redirections(name, item)
