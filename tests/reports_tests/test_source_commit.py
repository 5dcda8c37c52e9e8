"""The commit in a manifest is vlcache's own, read from files: nothing of the working folder is run or looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.run.new_manifest import environment
from reports.run.source_commit import NOTE, checked_out, source_commit

FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree of vlcache, on a branch with a commit."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "vlcache"\n')
    heads = tmp_path / ".git" / "refs" / "heads"
    heads.mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/topic/one\n")
    (heads / "topic").mkdir()
    (heads / "topic" / "one").write_text(f"{FIRST}\n")
    (tmp_path / "reports" / "run").mkdir(parents=True)
    return tmp_path


def test_no_program_that_the_working_folder_names_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("git") is None:
        pytest.skip("there is no git here")
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    program.chmod(0o700)
    (tmp_path / "file").write_text("one")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (
        ["init", "-q"],
        ["add", "."],
        [*author, "commit", "-qm", "first"],
        ["config", "core.fsmonitor", str(program)],
    ):
        subprocess.run(["git", *command], check=True)
    environment()
    assert not (tmp_path / "was-run").exists()


def test_the_commit_is_not_that_of_the_working_folder(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert environment()["git_commit"] != FIRST


def test_the_commit_of_a_source_tree(tree: Path) -> None:
    module = tree / "reports" / "run" / "source_commit.py"
    assert source_commit(module) == FIRST
    (tree / ".git" / "HEAD").write_text(f"{SECOND}\n")
    assert source_commit(module) == SECOND, "of a detached head"


def test_the_commit_of_a_packed_branch(tree: Path) -> None:
    (tree / ".git" / "refs" / "heads" / "topic" / "one").unlink()
    (tree / ".git" / "packed-refs").write_text(
        f"# pack-refs\n{FIRST} refs/heads/other\n{SECOND} refs/heads/topic/one\n"
    )
    assert checked_out(tree) == SECOND


def test_what_the_build_noted_comes_first(tree: Path) -> None:
    (tree / "reports" / "run" / NOTE).write_text(f"{SECOND}\n")
    assert source_commit(tree / "reports" / "run" / "source_commit.py") == SECOND


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[project]\nname = "other"\n'),
        ("pyproject.toml", "project = 3"),
        ("pyproject.toml", "{"),
        (".git/HEAD", ""),
        (".git/HEAD", "ref: refs/heads/../../../secret"),
        (".git/HEAD", "ref: /etc/hostname"),
        (".git/HEAD", "something"),
        (".git/refs/heads/topic/one", "no commit"),
    ],
)
def test_of_anything_else_no_commit_is_known(tree: Path, name: str, text: str) -> None:
    (tree / name).write_text(text)
    assert checked_out(tree) is None


def test_links_and_pipes_are_no_part_of_a_source_tree(tree: Path) -> None:
    branch = tree / ".git" / "refs" / "heads" / "topic" / "one"
    branch.rename(tree / "elsewhere")
    branch.symlink_to(tree / "elsewhere")
    assert checked_out(tree) is None
    branch.unlink()
    os.mkfifo(branch)
    assert checked_out(tree) is None
