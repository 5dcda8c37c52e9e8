"""A small model folder, intact, and copies of it to damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runners.builtin.architecture import build_config, build_image_processor, build_model
from runners.builtin.tokenizer import build_tokenizer


@pytest.fixture(scope="session")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers, as transformers saves it."""
    path = tmp_path_factory.mktemp("intact")
    tokenizer = build_tokenizer()
    build_model(build_config(tokenizer, layers=2)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    build_image_processor().save_pretrained(path)
    return path


@pytest.fixture
def copy(intact: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(intact, tmp_path / "model"))
