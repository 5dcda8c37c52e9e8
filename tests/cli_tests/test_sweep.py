from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.defaults import DonorPolicy, RunnerDefaults
from runners.records import Status
from runners.registry import METHODS, load_method, parse_specs
from vlcache_cli import console
from vlcache_cli.app import main
from vlcache_cli.config import readers
from vlcache_cli.config.commands import SweepConfig
from vlcache_cli.config.layers import flag, resolve
from vlcache_cli.config.setting import OUTPUT, settings_of
from vlcache_cli.jobs.ratios import BASELINES, describe, expand, name_runners
from workloads.errors import UsageError

Sweep = Callable[..., int]

RATIOS = [0.0, 0.05, 1.0]
FAMILIES = ["full", "prefix-cache", "full-reuse@rotate=false", "leading-k", "vlcache@ratio=0.3"]
SWEPT = ["vlcache", "random-k@seed=3", "cacheblend@score=k,name=blend"]


@pytest.fixture
def sweep(world: Any) -> Sweep:
    """``vlcache sweep`` over fakes: two runners that run once, one at two ratios, four requests; the exit code."""

    def run(*arguments: str) -> int:
        few = ["--workload", "binding", "--samples", "4", "--runner", "full,prefix-cache,vlcache"]
        return main(["sweep", *few, "--recompute-ratio", "0.5,0", *arguments])

    return run


def lines(run: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(run) / "records.jsonl").read_text().splitlines()]


def config_of(runners: Sequence[str], ratios: Iterable[float] = RATIOS, **other: Any) -> SweepConfig:
    return SweepConfig(runner=tuple(runners), recompute_ratio=tuple(ratios), **other)


def labels_of(config: SweepConfig) -> list[str]:
    return [runner.spec.label for runner in expand(config)]


def test_who_takes_a_ratio_runs_at_every_ratio_and_everyone_else_once() -> None:
    assert labels_of(config_of([*FAMILIES, *SWEPT])) == [
        *FAMILIES,
        *("vlcache@ratio=0", "vlcache@ratio=0.05", "vlcache@ratio=1"),
        *("random-k@seed=3,ratio=0", "random-k@seed=3,ratio=0.05", "random-k@seed=3,ratio=1"),
        *("blend@0", "blend@0.05", "blend@1"),
    ]


asked = st.lists(st.sampled_from([*FAMILIES, *SWEPT]), min_size=1, unique=True)
shares = st.lists(st.floats(0, 1), min_size=1, max_size=5, unique=True).map(sorted)


@given(asked, shares, st.sampled_from(["previous", "template"]))
def test_expansion_changes_ratios_and_labels_alone(runners: list[str], ratios: list[float], donor: DonorPolicy) -> None:
    config = config_of(runners, ratios, donor=donor, device_budget=7, strict_reuse=True)
    expanded = expand(config)
    labels = [runner.spec.label for runner in expanded]
    assert len(set(labels)) == len(labels)
    told = describe(config, expanded)["sweep"]
    assert told["ratios"] == ratios
    assert list(told["runners"]) == labels
    for plain in parse_specs(runners, RunnerDefaults(0.123, donor=donor, budget_bytes=7, strict_reuse=True)):
        mine = [runner.spec for runner in expanded if runner.family == plain.label]
        swept = plain.options.get("ratio") == 0.123
        assert [spec.options.get("ratio") for spec in mine] == (ratios if swept else [plain.options.get("ratio")])
        for spec in mine:
            assert (spec.method, spec.budget_bytes, spec.strict_reuse) == (plain.method, 7, True)
            assert {**spec.options, "ratio": 0} == {**plain.options, "ratio": 0}
            assert told["runners"][spec.label] == {"family": plain.label, "ratio": spec.options.get("ratio")}


@given(st.lists(st.sampled_from(["vlcache", "random-k@seed=3", "leading-k"]), min_size=1, unique=True), shares)
def test_a_label_is_the_spec_of_its_runner(runners: list[str], ratios: list[float]) -> None:
    for runner in expand(config_of(runners, ratios, device_budget=7)):
        assert parse_specs([runner.spec.label], RunnerDefaults(0.123, budget_bytes=7)) == [runner.spec]


def test_by_default_every_method_that_takes_a_ratio_and_can_be_used_is_swept() -> None:
    named = name_runners(SweepConfig()).runner
    methods = [spec.method for spec in parse_specs(named, RunnerDefaults())]
    every = {spec.method: load_method(spec) for spec in parse_specs(list(METHODS), RunnerDefaults())}
    usable = {
        name
        for name, method in every.items()
        if "ratio" in {option.name for option in fields(method)} and not method.analysis_only
    }
    assert {"vlcache", "cacheblend", "random-k"} <= usable
    assert methods == [name for name in METHODS if name in usable or name in BASELINES]


def test_runners_that_are_named_stay_as_they_are() -> None:
    config = config_of(["full", "vlcache"])
    assert name_runners(config) == config


@pytest.mark.parametrize(
    ("runners", "reference", "message"),
    [
        (
            ["vlcache", "vlcache@ratio=0.05"],
            "full",
            "runner 'vlcache@ratio=0.05' is given twice: drop one, or tell them apart with name=...",
        ),
        (
            ["full", "vlcache"],
            "vlcache",
            "the reference 'vlcache' runs at every ratio: choose one, as in --reference vlcache@ratio=1",
        ),
    ],
)
def test_runners_that_cannot_be_told_apart(runners: list[str], reference: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        expand(config_of(runners, reference=reference))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("0.5,0", (0, 0.5)),
        (" 1 , 0.02", (0.02, 1)),
        ("0.1", (0.1,)),
        ([0.2, 0, 1], (0, 0.2, 1)),
        (["0.2", 0.1], (0.1, 0.2)),
        (0.3, (0.3,)),
    ],
)
def test_ratios_are_sorted(value: object, read: tuple[float, ...]) -> None:
    assert readers.shares(value) == read


@pytest.mark.parametrize(
    ("ratios", "complaint"),
    [
        ("0,2", "must be a number from 0 to 1, not 2.0"),
        ("0,-0.1", "must be a number from 0 to 1, not -0.1"),
        ("0,nan", "must be a number from 0 to 1, not nan"),
        ("0,,1", "must be a number from 0 to 1, not ''"),
        ("some", "must be a number from 0 to 1, not 'some'"),
        ("0.5,0,.5", "names 0.5 twice"),
    ],
)
def test_bad_ratios_are_one_line(
    sweep: Sweep, world: Any, capsys: pytest.CaptureFixture[str], ratios: str, complaint: str
) -> None:
    assert sweep("--recompute-ratio", ratios) == 2
    assert capsys.readouterr() == ("", f"vlcache: --recompute-ratio {complaint}\n")
    assert world.loaded == 0


@pytest.mark.parametrize("text", ["[0.5, 0]", "0.5,0", "'0.5, 0'"])
def test_a_file_may_list_the_ratios(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"recompute-ratio: {text}")
    assert resolve(SweepConfig, {"config": str(file)}).recompute_ratio == (0, 0.5)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[]", "must name at least one number from 0 to 1"), ("[yes]", "must be a number from 0 to 1, not True")],
)
def test_bad_ratios_in_a_file_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"recompute-ratio: {text}")
    with pytest.raises(UsageError) as caught:
        resolve(SweepConfig, {"config": str(file)})
    assert str(caught.value) == f"{file}: recompute-ratio {complaint}"


def test_every_default_is_shown_as_what_it_is() -> None:
    defaults, known = SweepConfig(), settings_of(SweepConfig)
    for name, setting in known.items():
        value = getattr(defaults, name)
        if value not in (None, ()):
            assert setting.read(str(value) if isinstance(value, Path) else value) == value
    for name in ("device_budget", "recompute_ratio"):
        assert known[name].read(known[name].default_text) == getattr(defaults, name)


def test_the_help_tells_every_setting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    assert main(["sweep", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, setting in settings_of(SweepConfig).items():
        assert flag(name) in out
        assert setting.help in out
    assert "(default: 0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)" in out
    assert "memory grows with their product. (default: 128MiB)" in out


def test_a_sweep_ends_in_a_table_and_a_picture(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("--output", "run") == 0
    out, err = capsys.readouterr()
    assert "binding: 4 requests, builtin on cpu in float32" in out
    assert out.index("What reuse gains: 4 requests") < out.index("binding: 4 requests")
    tables = out[out.index("binding: 4 requests") :]
    assert tables.index(" full * ") < tables.index(" prefix-cache ") < tables.index(" vlcache  ")
    assert "knees: vlcache none\n" in out
    assert "recommended for binding: none; undecided: " in out
    assert err == "drawn in run/plots/accuracy-binding.png\nrun kept in run\n"
    assert Path("run/plots/accuracy-binding.png").stat().st_size > 10_000


def test_the_manifest_tells_what_was_asked_and_what_became_of_it(sweep: Sweep) -> None:
    sweep("--output", "run")
    manifest = json.loads(Path("run/manifest.json").read_text())
    assert manifest["config"]["recompute_ratio"] == [0, 0.5]
    assert manifest["config"]["runner"] == ["full,prefix-cache,vlcache"]
    assert manifest["sweep"] == {
        "ratios": [0, 0.5],
        "runners": {
            "full": {"family": "full", "ratio": None},
            "prefix-cache": {"family": "prefix-cache", "ratio": None},
            "vlcache@ratio=0": {"family": "vlcache", "ratio": 0},
            "vlcache@ratio=0.5": {"family": "vlcache", "ratio": 0.5},
        },
    }
    assert [runner["label"] for runner in manifest["runners"]] == list(manifest["sweep"]["runners"])
    assert len(lines("run")) == 4 * 4


def test_json_is_the_only_thing_on_stdout(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep("--output", "run", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["schema", "manifest", "summary", "notices", "answers", "sweep"]
    assert document["manifest"] == json.loads(Path("run/manifest.json").read_text())
    points = document["sweep"]["points"]
    assert [(point["family"], point["runner"]) for point in points] == [
        ("full", "full"),
        ("prefix-cache", "prefix-cache"),
        ("vlcache", "vlcache@ratio=0"),
        ("vlcache", "vlcache@ratio=0.5"),
    ]
    assert document["sweep"]["knees"] == {"binding": {"vlcache": None}}
    assert document["sweep"]["recommended"]["all"]["runner"] is None


def test_one_bar_spans_all_workloads_and_runners_and_what_is_left(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[tuple[int, int]] = []

    def track(items: Iterable[Any], title: str, total: Callable[[], int], about: Any = None) -> Iterator[Any]:
        at_first, seen = total(), list(items)
        assert total() == at_first, "nothing follows up"
        bars.append((at_first, len(seen)))
        yield from seen

    monkeypatch.setattr(console, "track", track)
    both = ["--workload", "video", "--output", "run"]
    assert sweep(*both) == 0
    records = Path("run/records.jsonl")
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:21]))
    assert sweep(*both, "--resume") == 0
    assert bars == [(32, 32), (11, 11)]


def test_failed_requests_make_the_exit_code_4(world: Any, capsys: pytest.CaptureFixture[str]) -> None:
    world.failing = {"binding-1": Status.REUSE_VIOLATED}
    runners = ["--runner", "full", "--runner", "vlcache@ratio=0.7,name=vlcache"]
    assert main(["sweep", "--workload", "binding", "--samples", "2", "--recompute-ratio", "0,1", *runners]) == 4
    assert "runner vlcache: 1 requests failed (reuse-violated)" in capsys.readouterr().err


def test_a_run_of_bench_is_not_continued_by_a_sweep(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--workload", "binding", "--samples", "4", "--runner", "full", "--output", "run"]) == 0
    capsys.readouterr()
    assert sweep("--output", "run", "--resume") == 2
    told = "vlcache: cannot resume run: another command or version of vlcache began it, with settings"
    assert capsys.readouterr().err.startswith(told)


def test_presentation_has_no_influence_on_what_is_measured() -> None:
    measured = SweepConfig().measured()
    assert measured["recompute_ratio"] == list(SweepConfig().recompute_ratio)
    assert not {name for name, setting in settings_of(SweepConfig).items() if setting.group == OUTPUT} & set(measured)


def test_a_sweep_of_the_embedded_model_can_be_cut_and_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--workload", "doc-qa", "--samples", "3", "--warmup", "1", "--runner", "full,full-reuse,random-k"]
    command = ["sweep", *few, "--recompute-ratio", "0,0.1", "--output", str(tmp_path / "run"), "--json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    executed = {point["runner"]: point["recompute_ratio"] for point in document["sweep"]["points"]}
    assert executed["full"] == 1
    assert executed["random-k@ratio=0"] == 0
    assert 0.05 < executed["random-k@ratio=0.1"] <= 0.1

    records = tmp_path / "run" / "records.jsonl"
    whole = lines(tmp_path / "run")
    records.write_bytes(b"".join(records.read_bytes().splitlines(keepends=True)[:5]) + b'{"torn')
    assert main([*command, "--resume"]) == 0
    for line in (again := lines(tmp_path / "run")) + whole:
        del line["timing"], line["peak_bytes"]
    assert again == whole
