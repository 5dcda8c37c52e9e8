"""Download models from the Hugging Face hub, once, or take them from the hub's local cache."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from runners.engine.errors import UnsupportedModel, first_line
from runners.models.files import BOUNDS, CONFIG, read_model_file
from runners.models.settings import check_config
from workloads.errors import UsageError
from workloads.reading import read_json

ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
SETTINGS = ("*.json", "*.jinja", "*.txt", "*.model")  # configuration, chat template, tokenizer
WEIGHTS = "*.safetensors"  # pickled weights are never loaded
ELSEWHERE = "*/*"  # other formats and copies of the same model


def is_id(name: str) -> bool:
    """Whether a name is that of a repository: owner, slash, model."""
    return ID.fullmatch(name) is not None


def download(name: str, revision: str | None) -> Path:
    """Download a model and return its folder; without a connection, what the local cache has.

    Small files come first: what cannot be run is not downloaded.

    Raises:
        UsageError: there is no such model, it may not be read, it cannot be run, or the hub cannot be reached and the
            cache lacks it.
    """
    from runners.engine.adapters.registry import require_supported

    folder = _fetch(name, revision, SETTINGS)
    if not (folder / CONFIG).exists():
        raise UsageError(f"'{name}' on the hub is not a model for transformers: it has no config.json")
    try:
        config = read_json(read_model_file(folder, CONFIG, BOUNDS[CONFIG]), dict[str, Any], CONFIG)
        check_config(config)
        require_supported(config.get("model_type"))
    except (UnsupportedModel, UsageError) as error:
        raise UsageError(f"model '{name}': {error}") from error
    return _fetch(name, revision, (*SETTINGS, WEIGHTS))


def revision_of(folder: Path) -> str | None:
    """Return the commit that a folder of the hub's cache holds; None for any other folder."""
    return folder.name if folder.parent.name == "snapshots" else None


def _fetch(name: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"model '{name}'" + (f" at revision '{revision}'" if revision else "")
    try:
        folder = snapshot_download(
            name,
            revision=revision,
            allow_patterns=list(patterns),
            ignore_patterns=[ELSEWHERE],
            local_files_only=constants.HF_HUB_OFFLINE,
        )
    except GatedRepoError as error:
        raise UsageError(f"{where} is gated: accept its terms on the hub, then log in with hf auth login") from error
    except RepositoryNotFoundError as error:
        raise UsageError(f"{where} is neither a folder nor on the hub (a private one needs hf auth login)") from error
    except RevisionNotFoundError as error:
        raise UsageError(f"model '{name}' is on the hub, but has no revision '{revision}'") from error
    except LocalEntryNotFoundError as error:
        raise UsageError(
            f"{where} is no folder, the hub cannot be reached, and its local cache has not all of it: "
            "go online once, or give a folder"
        ) from error
    except Exception as error:  # networks fail in more ways than can be listed
        raise UsageError(f"{where} cannot be downloaded: {first_line(error)}") from error
    return Path(folder)
