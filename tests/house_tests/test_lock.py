"""The locked versions are those of the project as it is: every requirement has one, within its range."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from runners.reader.weights import PACKAGE, VERSION

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKED_GROUPS = ("lint", "types", "test", "build")


def locked() -> dict[str, set[str]]:
    """The versions of each package in the locks: several where Pythons differ."""
    versions: dict[str, set[str]] = {}
    for name in ("requirements.txt", "requirements-torch.txt"):
        text = (ROOT / "tests" / name).read_text("utf-8")
        for package, version in re.findall(r"^([\w.-]+)==([\w.]+)", text, flags=re.MULTILINE):
            versions.setdefault(package.lower(), set()).add(version)
    return versions


def required() -> Iterator[Requirement]:
    """What the project and its checks ask for."""
    groups = (PROJECT["dependency-groups"][name] for name in LOCKED_GROUPS)
    texts = [*PROJECT["project"]["dependencies"], *(text for group in groups for text in group)]
    return (Requirement(text) for text in texts if isinstance(text, str))


def test_every_requirement_has_locked_versions_within_its_range() -> None:
    versions = locked()
    missing = [
        str(entry)
        for entry in required()
        if not versions.get(entry.name.lower()) or not all(map(entry.specifier.contains, versions[entry.name.lower()]))
    ]
    assert missing == [], "run nox -s lock"


def test_the_weights_of_the_reader_are_locked_at_the_version_that_it_is_built_from() -> None:
    text = (ROOT / "tests" / "requirements-reader.txt").read_text("utf-8")
    (line,) = re.findall(r"^[^#\n].*(?:\n .*)*", text, flags=re.MULTILINE)
    assert line.startswith(f"{PACKAGE}=={VERSION} ")
    assert "--hash=sha256:" in line


def test_every_locked_file_but_those_of_torch_has_a_hash() -> None:
    text = (ROOT / "tests" / "requirements.txt").read_text("utf-8")
    blocks = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) > 100
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
