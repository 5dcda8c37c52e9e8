"""Models on the hub, without one: a cache laid out as huggingface_hub does, and its errors as one line each."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, errors
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

from runners.builtin import MODEL_DIR
from runners.models import hub
from runners.models.load import load_model, resolve_model
from workloads.errors import UsageError

COMMIT, OLDER = "a" * 40, "b" * 40
NAME = "owner/tiny-vl"
NEITHER = (
    "is no folder, the hub cannot be reached, and its local cache has not all of it: go online once, or give a folder"
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in place of the user's; returns where the repository ``NAME`` goes in it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path / "models--owner--tiny-vl"


def store(repository: Path, commit: str = COMMIT, ref: str = "main", **config: Any) -> Path:
    """Put the embedded model into a cache: files are links to blobs, branches and tags are files with a commit."""
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir(exist_ok=True)
    for file in MODEL_DIR.iterdir():
        blob = repository / "blobs" / f"{commit}-{file.name}"
        shutil.copyfile(file, blob)
        (snapshot / file.name).symlink_to(Path("../../blobs") / blob.name)
    if config:
        changed = json.loads((snapshot / "config.json").read_text()) | config
        (snapshot / "config.json").write_text(json.dumps(changed))
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / ref).write_text(commit)
    return snapshot


def refusal(name: str = NAME, revision: str | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        resolve_model(name, revision)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_what_the_cache_has_is_used_offline(cache: Path) -> None:
    snapshot = store(cache)
    found = resolve_model(NAME)
    assert found == snapshot
    told = load_model(NAME, found, "float32", "cpu").describe()
    assert (told["name"], told["revision"], told["random_weights"]) == (NAME, COMMIT, False)


def test_a_revision_is_a_branch_a_tag_or_a_commit(cache: Path) -> None:
    newest, older = store(cache), store(cache, OLDER, "v1")
    assert resolve_model(NAME) == resolve_model(NAME, "main") == resolve_model(NAME, COMMIT) == newest
    assert resolve_model(NAME, "v1") == resolve_model(NAME, OLDER) == older


def test_a_hub_that_cannot_be_reached_leaves_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    assert refusal() == f"model '{NAME}' {NEITHER}"
    snapshot = store(cache)
    assert resolve_model(NAME) == snapshot


def test_what_the_cache_lacks_is_one_line_offline(cache: Path) -> None:
    assert refusal() == f"model '{NAME}' {NEITHER}"
    store(cache)
    assert refusal(NAME, "v2") == f"model '{NAME}' at revision 'v2' {NEITHER}"


def test_a_cached_model_without_weights_is_refused(cache: Path) -> None:
    (store(cache) / "model.safetensors").unlink()
    assert refusal() == f"'{NAME}' has no *.safetensors weights (pickled weights are never loaded)"


def test_a_directory_goes_before_the_hub(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(cache)
    folder = tmp_path / "work" / NAME
    shutil.copytree(MODEL_DIR, folder)
    monkeypatch.chdir(tmp_path / "work")
    assert resolve_model(NAME) == Path(NAME)


@pytest.mark.parametrize("name", ["buildin", "a/b/c", "/no/such", "./there", "../there", "~/there", "a/", "/a", ""])
def test_a_name_that_is_no_id_is_not_looked_for_on_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "download", lambda *_: pytest.fail("looked for"))
    assert not hub.is_id(name)
    if name:
        assert refusal(name).startswith(f"unknown model '{name}': ")


@pytest.mark.parametrize("name", ["builtin", "shape:qwen3-vl-2b", str(MODEL_DIR), "buildin"])
def test_a_revision_without_a_hub_is_refused(name: str) -> None:
    line = f"--revision is for models on the hub, and '{name}' is not the id of one: drop it"
    assert refusal(name, "main") == line


class Asked(list[dict[str, Any]]):
    """What snapshot_download was asked for."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    calls = Asked()

    def snapshot_download(name: str, **options: Any) -> str:
        calls.append({"name": name, **options})
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return calls


def test_no_pickled_weights_and_no_copies_in_other_formats_are_downloaded(asked: Asked, tmp_path: Path) -> None:
    shutil.copy(MODEL_DIR / "config.json", tmp_path)
    hub.download(NAME, "v1")
    wanted = [
        "config.json",
        "preprocessor_config.json",
        "model.safetensors.index.json",
        "chat_template.jinja",
        "merges.txt",
        "tokenizer.model",
    ]
    weights = ["model-00001-of-00002.safetensors"]
    others = ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "modeling.py", "onnx/config.json"]
    others += ["original/model.safetensors", "model.gguf", "README.md"]
    got = [
        list(
            filter_repo_objects(
                [*wanted, *weights, *others],
                allow_patterns=call["allow_patterns"],
                ignore_patterns=call["ignore_patterns"],
            )
        )
        for call in asked
    ]
    assert got == [wanted, wanted + weights]
    assert {(call["name"], call["revision"]) for call in asked} == {(NAME, "v1")}


def test_weights_of_an_architecture_without_an_adapter_are_not_downloaded(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert refusal().startswith(f"model '{NAME}': architecture 'llama' is not supported; supported: ")
    assert len(asked) == 1


def test_a_repository_without_a_configuration_is_no_model(asked: Asked) -> None:
    assert refusal() == f"'{NAME}' on the hub is not a model for transformers: it has no config.json"


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (
            errors.GatedRepoError,
            "at revision 'v1' is gated: accept its terms on the hub, then log in with hf auth login",
        ),
        (
            errors.RepositoryNotFoundError,
            "at revision 'v1' is neither a folder nor on the hub (a private one needs hf auth login)",
        ),
        (errors.RevisionNotFoundError, "is on the hub, but has no revision 'v1'"),
        (ConnectionResetError, "at revision 'v1' cannot be downloaded: it broke"),
        (RuntimeError, "at revision 'v1' cannot be downloaded: it broke"),
    ],
)
def test_what_the_hub_says_is_one_line(kind: type[Exception], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        error = kind.__new__(kind)
        error.args = ("\nit broke\nin many lines",)
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    assert refusal(revision="v1") == f"model '{NAME}' {line}"
