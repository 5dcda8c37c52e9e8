"""``vlcache profile`` on the embedded model, small; and what is checked before a model is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.profile import error_map
from runners.builtin import MODEL_DIR
from runners.profile import read_profile
from vlcache_cli.app import main
from vlcache_cli.config.commands import ProfileConfig
from vlcache_cli.config.layers import flag, resolve
from vlcache_cli.config.setting import settings_of

LAYERS = 8


def test_the_risk_alone_is_calibrated_and_too_little_evidence_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--only-risk", "--workload", "binding", "--calibration-samples", "24", "--output", "run"]
    assert main(["profile", *options]) == 0
    err = capsys.readouterr().err
    assert "a promise of 2 % cannot be made: " in err
    assert "so everything is computed; raise --calibration-samples" in err
    kept, before = read_profile(Path("run/vlcache.yaml"), LAYERS), read_profile(MODEL_DIR / "vlcache.yaml", LAYERS)
    assert kept.sensitivity == before.sensitivity, "what was said of the layers stays"
    assert kept.risk is not None
    assert kept.risk.families == ("binding",)
    assert 0 < kept.risk.requests < 24
    assert all(promise.threshold == 0 for promise in kept.risk.promises)
    assert [path.name for path in Path("run").iterdir()] == ["vlcache.yaml"]
    assert "layers: as before; risk: 24 of each, seed 501" in Path("run/vlcache.yaml").read_text("utf-8")

    assert main(["profile", "--only-risk", "--calibration-samples", "0", "--output", "none"]) == 2
    assert "--only-risk needs requests to calibrate on: raise --calibration-samples" in capsys.readouterr().err


def test_a_profile_is_measured_kept_and_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ["--workload", "doc-qa", "--samples", "3", "--reuse-rate", "1", "--json", "--output", "run"]
    few += ["--calibration-samples", "0"]
    assert main(["profile", *few]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err.splitlines()[-2:] == [
        "error map kept in run/error_map.parquet, drawn in run/error_map.png",
        "profile kept in run/vlcache.yaml: use it with --profile, or copy it beside the model's weights",
    ]
    kept = read_profile(Path("run/vlcache.yaml"), LAYERS)
    assert document["profile"]["probe_layers"] == list(kept.probe_layers)
    assert kept.layer_weights == (), "three requests tell too little to cut a layer"
    assert "too few warm requests for a layer schedule: none is kept; raise --samples" in err
    assert kept.risk is None
    assert document["settings"]["seed"] == 500
    layers = document["layers"]
    assert [row["layer"] for row in layers] == list(range(LAYERS))
    assert layers[0]["sensitivity"] < 1e-9
    assert layers[0]["relative_v"] < 1e-4
    assert layers[-1]["relative_v"] > 1e-3
    assert sum(row["ratio"] for row in layers) / LAYERS == pytest.approx(0.05)
    assert len(document["media"]) >= 3
    errors = error_map.read(Path("run/error_map.parquet"))
    assert set(errors["request"]) <= {f"doc-qa-{number}" for number in range(3)}
    assert document["requests"][0]["requests"] == errors["request"].nunique()
    assert Path("run/error_map.png").read_bytes().startswith(b"\x89PNG")
    comment = Path("run/vlcache.yaml").read_text("utf-8").splitlines()
    assert comment[0].startswith("# Measured by vlcache profile on ")
    assert "# workloads: doc-qa; layers: 3 of each, seed 500, reuse rate: 1" in comment

    assert main(["profile", *few]) == 2
    assert capsys.readouterr().err == "vlcache: run already holds vlcache.yaml: choose another --output\n"

    nothing_recurs = ["--calibration-samples", "0", "--workload", "doc-qa", "--samples", "1", "--output", "other"]
    assert main(["profile", *nothing_recurs]) == 2
    assert capsys.readouterr().err == (
        "vlcache: no warm request reused a medium: raise --samples, --reuse-rate or --device-budget\n"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--runner", "nosuch"], "unknown runner 'nosuch': "),
        (["--runner", "full-reuse,vlcache"], "--runner names 2 runners: profile observes one at a time"),
        (
            ["--runner", "prefix-cache"],
            "runner 'prefix-cache' reuses no keys and values of media: choose one such as full-reuse",
        ),
        (["--workload", "bindng"], "unknown workload 'bindng': did you mean 'binding'?"),
        (["--budget", "0"], "--budget must be a number above 0 and below 1, not 0.0"),
        (["--output", "file"], "cannot write to file: File exists; make room or choose another --output"),
    ],
)
def test_mistakes_are_one_line_before_a_model_is_loaded(
    world: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    Path("file").write_text("")
    assert main(["profile", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"vlcache: {line}")
    assert err.count("\n") == 1
    assert world.loaded == 0


def test_the_help_tells_every_setting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert main(["profile", "--help"]) == 0
    out = capsys.readouterr().out
    for name, setting in settings_of(ProfileConfig).items():
        assert flag(name) in out
        assert setting.help in out
    assert "(default: full-reuse)" in out
    assert "(default: 8GiB)" in out
    assert "--resume" not in out


def test_the_default_folder_is_named_by_time_and_command() -> None:
    assert resolve(ProfileConfig, {}).output.name.endswith("Z-profile")


def test_another_profile_is_handed_to_the_model(
    bench: Callable[..., int], world: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--profile", "nowhere.yaml") == 2
    assert capsys.readouterr().err == (
        "vlcache: --profile nowhere.yaml: there is no such file; vlcache profile makes one\n"
    )
    assert world.loaded == 0
    Path("mine.yaml").write_text("probe_layers: [0]")
    assert bench("--profile", "mine.yaml", "--output", "run") == 0
    assert world.options[2] == Path("mine.yaml")
    assert json.loads(Path("run/manifest.json").read_text())["config"]["profile"] == "mine.yaml"
    assert bench("--output", "other") == 0
    assert world.options[2] is None
