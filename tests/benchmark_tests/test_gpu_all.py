"""One command for a day with a GPU: it goes on after failures, and tells what passed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    return script_of("gpu_all")


@pytest.fixture
def parts(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Parts in place of the real ones, on a machine with a GPU."""

    def replace(**codes: str) -> None:
        made = tuple(script.Part(name, ("-c", code), 2.0, name.endswith("md")) for name, code in codes.items())
        monkeypatch.setattr(script, "PARTS", made)
        monkeypatch.setattr(script, "has_cuda", lambda: True)

    return replace


def test_without_a_gpu_one_line_says_so(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert script.main([str(tmp_path / "out")]) == 2
    line = "gpu_all.py: no CUDA device: torch sees none; run this on a machine with one\n"
    assert capsys.readouterr() == ("", line)
    assert not (tmp_path / "out").exists()


def test_it_goes_on_after_failures_and_limits(
    script: ModuleType, parts: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    child = "import subprocess, sys; print('begun', flush=True); subprocess.run([sys.executable, '-c', '{}'])"
    parts(
        good="import runners; print('fine')",
        bad="import sys; print('half'); sys.exit('the reason')",
        slow=child.format("import time; time.sleep(60)"),
        table_md="print('| a |')",
    )
    started = time.monotonic()
    assert script.main([str(tmp_path / "out")]) == 1
    assert time.monotonic() - started < 30
    text = (tmp_path / "out" / "gpu.md").read_text("utf-8")
    assert capsys.readouterr().out == text
    assert (
        "# good\n\n```sh\npython -c 'import runners; print('\"'\"'fine'\"'\"')'\n```\n\n```text\nfine\n```\n\n# bad"
        in text
    )
    assert "```text\nhalf\n```\n\n**bad: exit code 1**\n\n```text\nthe reason\n```\n\n# slow" in text
    assert "```text\nbegun\n```\n\n**slow: stopped after 2 s**" in text
    assert "```\n\n| a |\n\n# Summary\n" in text
    ends = [line.split(" | ")[:2] for line in text.split("# Summary")[1].splitlines() if line.startswith("| ")][2:]
    assert ends == [
        ["| good", "passed"],
        ["| bad", "exit code 1"],
        ["| slow", "stopped after 2 s"],
        ["| table_md", "passed"],
    ]
    assert (tmp_path / "out" / "bad.err").read_text("utf-8") == "the reason\n"


def test_parts_can_be_chosen_and_are_added_to_what_is_there(
    script: ModuleType, parts: Callable[..., None], tmp_path: Path
) -> None:
    parts(one="print(1)", two="print(2)", twofold="print(3)", broken="raise SystemExit(1)")
    assert script.main([str(tmp_path), "--only", "two"]) == 0
    assert script.main([str(tmp_path), "--only", "one", "broken"]) == 1
    text = (tmp_path / "gpu.md").read_text("utf-8")
    headings = [line for line in text.splitlines() if line.startswith("# ")]
    assert headings == ["# two", "# twofold", "# Summary", "# one", "# broken", "# Summary"]


def test_an_unknown_part_is_refused(script: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        script.main([str(tmp_path), "--only", "kernel", "nothing"])
    assert caught.value.code == 2
    assert "no part is called nothing; there are doctor, tests, " in capsys.readouterr().err


def test_a_part_keeps_its_files_in_the_folder(
    script: ModuleType, parts: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    parts()
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('kept')"
    monkeypatch.setattr(script, "PARTS", (script.Part("keeper", ("-c", code, "FOLDER/file"), 9.0),))
    monkeypatch.chdir(tmp_path)
    assert script.main(["out"]) == 0
    assert (tmp_path / "out" / "file").read_text() == "kept"
    assert str(tmp_path) not in (tmp_path / "out" / "gpu.md").read_text("utf-8")


def test_the_real_parts_can_be_run_and_take_no_longer_than_allowed(
    script: ModuleType, script_of: Callable[[str], ModuleType]
) -> None:
    assert sum(part.limit_s for part in script.PARTS) <= 25 * 60
    assert len({part.name for part in script.PARTS}) == len(script.PARTS)
    asked: dict[str, list[Any]] = {}
    for part in script.PARTS:
        first, *options = part.arguments
        if first == "-m":
            assert options[0] in ("pytest", "vlcache_cli")
            continue
        assert (script.ROOT / first).is_file()
        name = Path(first).stem
        asked.setdefault(name, []).append(options)
    tables = [script_of("ttft").parse(options) for options in asked.pop("ttft")]
    assert [options.model for options in tables] == ["shape:qwen2.5-vl-7b", "shape:qwen3-vl-8b"]
    sizes = {(size.pages, size.tokens) for size in tables[0].size}
    assert sizes == {(1, 1000), (1, 4000), (1, 10_000), (8, 1200)}
    fair = [script_of("full_vs_transformers").parse(options) for options in asked.pop("full_vs_transformers")]
    assert [(options.tokens, options.at_most) for options in fair] == [(1000, 1.05), (4000, 1.05)]
    assert [options[1] in script_of("gpu").SHAPES for options in asked.pop("gpu")] == [True, True]
    assert not asked


def test_every_part_runs_with_this_python(script: ModuleType, parts: Callable[..., None], tmp_path: Path) -> None:
    parts(version="import sys; print(sys.executable)")
    assert script.main([str(tmp_path)]) == 0
    assert sys.executable in (tmp_path / "gpu.md").read_text("utf-8")
