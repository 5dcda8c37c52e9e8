"""Whatever a configuration file, a policy or a flag holds: it is accepted, or refused in one printable line."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.gate.policy_file import PolicyKeys, read_policy
from reports.gate.requirements import REQUIREMENTS
from vlcache_cli.app import main
from vlcache_cli.config.commands import BenchConfig, SweepConfig
from vlcache_cli.config.layers import flag, resolve
from vlcache_cli.config.setting import settings_of
from workloads.errors import UsageError

KINDS = (BenchConfig, SweepConfig)
NAMES = sorted({name for kind in KINDS for name in settings_of(kind)})
ODD = ["\0", "\x1b]0;x\x07", "\udcff", "9" * 6000, "nan", "-inf", "1e400", "", " ", "~root", "1:1:1", "=", "\u202e"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 10**30, 10**4000, -1])
    | st.floats()
    | st.text()
    | st.dates()
    | st.sampled_from(ODD)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=2),
    max_leaves=6,
)


def require_read_or_told(read: Callable[[], object]) -> None:
    """It is read, or refused in one line."""
    told = ""
    try:
        read()
    except UsageError as error:
        told = str(error)
    assert told.isprintable()
    assert len(told) < 2000


@pytest.fixture(scope="module")
def file() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder, "mine.yaml")


@settings(max_examples=250)
@given(kind=st.sampled_from(KINDS), name=st.sampled_from(NAMES), value=VALUES)
def test_any_value_of_any_setting(file: Path, kind: Any, name: str, value: object) -> None:
    file.write_text(yaml.safe_dump({name: value}))

    def read() -> None:
        config = resolve(kind, {"config": str(file)})
        json.dumps(config.measured(), ensure_ascii=False).encode()  # the manifest can hold it

    require_read_or_told(read)


@settings(max_examples=100)
@given(key=st.text() | st.sampled_from(NAMES), value=VALUES)
def test_any_key(file: Path, key: str, value: object) -> None:
    file.write_text(json.dumps({key: value}, default=str))
    require_read_or_told(lambda: resolve(BenchConfig, {"config": str(file)}))
    require_read_or_told(lambda: read_policy(file))


@settings(max_examples=100)
@given(key=st.sampled_from([*PolicyKeys.__dataclass_fields__, *REQUIREMENTS, "runner", "workload"]), value=VALUES)
def test_any_value_in_a_policy(file: Path, key: str, value: object) -> None:
    for written in ({key: value}, {"rules": [{"margin": 0.1, key: value}]}):
        file.write_text(json.dumps(written, default=str))
        require_read_or_told(lambda: read_policy(file))


FLAGS = [name for name in settings_of(BenchConfig) if name != "config"]


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(FLAGS), LEAVES.map(str)))
def test_any_flags(flags: dict[str, Any]) -> None:
    require_read_or_told(lambda: resolve(BenchConfig, flags))


HOSTILE: dict[str, str | bytes] = {
    "a number of 6,000 digits": f"samples: {'9' * 6000}",
    "a date that does not exist": "seed: 2024-02-31",
    "escape characters in a key": '"\\x1b]0;x\\x07\\n::error::x": 1',
    "escape characters in a value": 'donor: "\\x1b]0;x\\x07\\n::error::x"',
    "a null character": 'model: "a\\0b"',
    "merges that grow": "a0: &a0 {x: 1}\n"
    + "\n".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], y{n}: 1}}" for n in range(1, 12)),
    "a long number to base 60": f"seed: 1{':1' * 30_000}",
    "many values": "- a\n" * 16_000,
    "brackets": "[" * 60_000,
    "a large file": "#" * (1 << 20) + "\n",
    "no UTF-8": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("arguments", [["bench", "--config"], ["gate", "run", "--policy"]])
def test_hostile_files_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = HOSTILE[name]
    Path("mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    if arguments[0] == "gate":
        (tmp_path / "run").mkdir()
        monkeypatch.setattr("reports.gate.gate.RunFolder.read", lambda self: None)
    assert main([*arguments, "mine.yaml"]) == 2
    err = capsys.readouterr().err
    assert err.removesuffix("\n").isprintable()
    assert "mine.yaml" in err


@pytest.mark.parametrize("kind", ["folder", "pipe"])
@pytest.mark.parametrize(
    "arguments", [["bench", "--config"], ["gate", "run", "--policy"], ["gate", "run", "--baseline"]]
)
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "folder":
        Path("mine").mkdir()
    else:
        os.mkfifo("mine")
    assert main([*arguments, "mine"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1


@pytest.mark.parametrize("value", ["\udcff", "9" * 6000, "nan"])
def test_odd_flags_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    def accepted(*given: object) -> Any:
        raise UsageError("accepted")

    monkeypatch.setattr("vlcache_cli.jobs.bench.parse_runners", accepted)
    for name in FLAGS:
        assert main(["bench", flag(name), value]) == 2
        assert capsys.readouterr().err.removesuffix("\n").isprintable()
