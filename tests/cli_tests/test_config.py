from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from runners.defaults import RunnerDefaults
from runners.registry import DEFAULT_RUNNERS, parse_specs
from vlcache_cli.config import readers
from vlcache_cli.config.commands import DEFAULTS, SETTINGS, BenchConfig, ProfileConfig, SweepConfig
from vlcache_cli.config.layers import describe_presets, preset_names, resolve
from vlcache_cli.config.setting import Group
from vlcache_cli.jobs.bench import parse_runners
from workloads.errors import UsageError
from workloads.registry import DEFAULT_WORKLOADS, TEXT_PAGES, WORKLOADS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file; tests write it."""
    return tmp_path / "mine.yaml"


def test_without_any_layer_the_defaults_hold() -> None:
    config = resolve(BenchConfig, {})
    assert config.measured() == DEFAULTS.measured()
    assert config.runner == DEFAULT_RUNNERS
    assert config.workload == DEFAULT_WORKLOADS


@pytest.mark.parametrize("kind", [BenchConfig, SweepConfig])
def test_what_is_cold_is_adopted_and_nothing_is_timed_from_the_host_unless_asked(kind: Any) -> None:
    config = resolve(kind, {})
    assert (config.adopt, config.host_budget) == (True, 0)
    assert config.measured()["adopt"] is True
    assert resolve(kind, {"adopt": False, "host_budget": "1MiB"}).measured()["adopt"] is False


def test_workloads_come_as_a_comma_list_unless_a_file_is_called_so(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine,yours.jsonl").write_text("")
    assert resolve(BenchConfig, {"workload": ["binding, video", "quote"]}).workload == ("binding", "video", "quote")
    given = ["mine,yours.jsonl", "binding,other.jsonl"]
    assert resolve(BenchConfig, {"workload": given}).workload == ("mine,yours.jsonl", "binding", "other.jsonl")
    file.write_text("workload: [binding, 'video,quote']")
    assert resolve(BenchConfig, {"config": str(file)}).workload == ("binding", "video", "quote")
    assert resolve(ProfileConfig, {"workload": ["video,quote"]}).workload == ("video", "quote")


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        (["binding,binding"], "--workload names 'binding' twice"),
        (["binding,"], "--workload must be a text, not ''"),
        (["a" * 300 + ",b" * 200 + ",b"], "--workload names 'b' twice"),
    ],
)
def test_a_wrong_comma_list_of_workloads_is_told_in_one_line(given: list[str], mistake: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(mistake)}"):
        resolve(BenchConfig, {"workload": given})


def test_the_default_folder_is_named_by_time_and_configuration() -> None:
    config = resolve(BenchConfig, {})
    assert re.fullmatch(rf"results/\d{{8}}T\d{{6}}Z-{config.digest()[:8]}", config.output.as_posix())
    assert resolve(BenchConfig, {"seed": 1}).digest() != config.digest()
    assert resolve(BenchConfig, {"output": "elsewhere", "json": True}).digest() == config.digest()


def test_flags_win_over_the_file_and_the_file_over_the_preset(file: Path) -> None:
    file.write_text("samples: 5\nseed: 9\nwarmup: 0\n")
    config = resolve(BenchConfig, {"preset": "chat", "config": str(file), "seed": 3})
    assert (config.workload, config.samples, config.seed, config.warmup) == (("image-chat",), 5, 3, 0)


def test_a_flag_can_take_back_what_a_file_switched_on(file: Path) -> None:
    file.write_text("strict-reuse: true")
    assert resolve(BenchConfig, {"config": str(file)}).strict_reuse
    assert not resolve(BenchConfig, {"config": str(file), "strict_reuse": False}).strict_reuse


def test_flags_that_were_not_given_hide_nothing(file: Path) -> None:
    file.write_text("workload: video")
    config = resolve(BenchConfig, {"config": str(file), "samples": None, "workload": [], "runner": ()})
    assert config.workload == ("video",)


@pytest.mark.parametrize("key", ["max-new-tokens", "max_new_tokens"])
def test_keys_may_be_written_with_dashes_or_underscores(file: Path, key: str) -> None:
    file.write_text(f"{key}: 2")
    assert resolve(BenchConfig, {"config": str(file)}).max_new_tokens == 2


def test_a_file_may_name_the_folder(file: Path) -> None:
    file.write_text("output: somewhere")
    assert resolve(BenchConfig, {"config": str(file)}).output == Path("somewhere")


def test_an_empty_file_says_nothing(file: Path) -> None:
    file.write_text("# later\n")
    assert resolve(BenchConfig, {"config": str(file)}).measured() == DEFAULTS.measured()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample: 4", "{file}: unknown setting 'sample': did you mean 'samples'?"),
        ("samples: many", "{file}: samples must be a whole number of at least 1, not 'many'"),
        ("samples: true", "{file}: samples must be a whole number of at least 1, not True"),
        ("samples:", "{file}: samples must be a whole number of at least 1, not None"),
        ("reuse-rate: '0.5'", "{file}: reuse-rate must be a number from 0 to 1, not '0.5'"),
        ("reuse-rate: .nan", "{file}: reuse-rate must be a number from 0 to 1, not nan"),
        ("margin: 0", "{file}: margin must be a number above 0 and below 1, not 0"),
        ("alpha: 1.0", "{file}: alpha must be a number above 0 and below 1, not 1.0"),
        ("alpha: true", "{file}: alpha must be a number above 0 and below 1, not True"),
        ("workload: []", "{file}: workload must name at least one"),
        ("workload: [video, 3]", "{file}: workload must be a text, not 3"),
        ("workload: [video, video]", "{file}: workload names 'video' twice"),
        ("json: 'yes'", "{file}: json must be true or false, not 'yes'"),
        ("donor: previos", "{file}: donor must be previous, template or isolated, not 'previos'"),
        ("device-budget: 1 parsec", "{file}: device-budget must be a size such as 512MiB or 2GB, not '1 parsec'"),
        ("warm-up: 1", "{file}: unknown setting 'warm_up': did you mean 'warmup'?"),
        ("preset: smoke", "{file}: 'preset' can only be given as the flag --preset"),
        ("max-new-tokens: 1\nmax_new_tokens: 2", "{file}: 'max_new_tokens' is given twice"),
        ("[samples]", "{file} must map settings to values, such as 'samples: 16'"),
        ("!!python/object/apply:os.getcwd []", "{file} is not valid YAML: "),
        ("samples: [", "{file} is not valid YAML: "),
        ("[" * 9000, "{file} is not valid YAML: lists and mappings are nested too deeply"),
    ],
)
def test_mistakes_in_a_file_are_named(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        resolve(BenchConfig, {"config": str(file)})
    assert str(caught.value).startswith(message.format(file=file))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*mine\.yaml: No such file or directory"):
        resolve(BenchConfig, {"config": str(file)})


def test_an_unknown_preset() -> None:
    with pytest.raises(UsageError, match="unknown preset 'smok': did you mean 'smoke'"):
        resolve(BenchConfig, {"preset": "smok"})


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_asks_for_things_that_exist(name: str) -> None:
    config = resolve(BenchConfig, {"preset": name})
    assert set(config.workload) <= set(WORKLOADS)
    labels = [spec.label for spec in parse_specs(config.runner, RunnerDefaults())]
    assert config.reference in labels
    names = ["cacheblend", "chat", "conduit", "docqa", "mpic", "paper", "smoke", "video", "vlcache-paper"]
    assert preset_names() == names


def test_presets_are_described_by_the_first_paragraph_of_their_comment() -> None:
    described = dict(describe_presets())
    assert list(described) == preset_names()
    assert described["video"] == "Questions about clips that are asked about again."
    assert "Source" not in described["conduit"]
    assert described["conduit"].endswith("--recompute-ratio 0.05).")


@pytest.mark.parametrize(
    ("preset", "label", "options"),
    [
        ("conduit", "conduit", {"donor": "template", "ratio": 0.1}),
        ("conduit", "kvshare@schedule=all", {"donor": "template", "ratio": 0.1, "schedule": "all"}),
        ("cacheblend", "cacheblend", {"donor": "isolated", "ratio": 0.15}),
        ("mpic", "leading-k@k=32", {"donor": "isolated", "k": 32}),
        ("vlcache-paper", "vlcache-paper", {"donor": "previous", "ratio": 0.05}),
    ],
)
def test_a_paper_is_run_as_its_authors_do(preset: str, label: str, options: dict[str, Any]) -> None:
    config = resolve(BenchConfig, {"preset": preset})
    specs = {spec.label: spec for spec in parse_runners(config, 0.5)}
    assert set(specs) > {"full", "prefix-cache", label}
    ratio = {"ratio": 0.5} if "ratio" in options else {}
    assert specs[label].options == options | ratio
    assert config.recompute_ratio == options.get("ratio", RunnerDefaults.recompute_ratio)


@pytest.mark.parametrize(("donor", "donors"), [(None, ["previous", "template"]), ("isolated", ["isolated"] * 2)])
def test_a_flag_gives_all_runners_one_donor_policy(donor: str | None, donors: list[str]) -> None:
    config = resolve(BenchConfig, {"runner": ["cacheblend,conduit"], "donor": donor})
    assert [spec.options["donor"] for spec in parse_runners(config, 0.1)] == donors


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (7, 7),
        ("7", 7),
        ("512MiB", 512 * 2**20),
        ("1.5 GB", 1_500_000_000),
        ("2kib", 2048),
        ("3B", 3),
        (0, 0),
        pytest.param("9" * 400, 10**400 - 1, id="400 digits"),
    ],
)
def test_sizes(value: object, size: int) -> None:
    assert readers.size(value) == size


@pytest.mark.parametrize("value", [-1, 1.5, True, "", "MiB", "-1MiB", "1e9", None])
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        readers.size(value)


def test_the_default_budget_is_shown_as_what_it_is() -> None:
    shown = SETTINGS["device_budget"].default_text
    assert shown is not None
    assert readers.size(shown) == DEFAULTS.device_budget


def test_every_default_is_one_that_could_be_given() -> None:
    for entry in fields(BenchConfig):
        value: Any = getattr(DEFAULTS, entry.name)
        if value is not None:
            said = str(value) if isinstance(value, Path) else value
            assert SETTINGS[entry.name].read(said) == value


def test_verdicts_and_presentation_have_no_influence_on_what_is_measured() -> None:
    assert [group for group in Group if not group.measured] == [Group.VERDICT, Group.OUTPUT]
    hidden = {name for name, setting in SETTINGS.items() if not setting.group.measured}
    assert hidden == {
        "margin",
        "alpha",
        "output",
        "resume",
        "no_media",
        "json",
        "wide",
        "preset",
        "config",
        "on",
        "slo",
    }
    disk = {"store_dir", "disk_budget", "namespace", "store_dtype"}
    assert set(replace(DEFAULTS, store_dir=Path("store"), store_dtype="int8").measured()) == set(SETTINGS) - hidden
    assert set(DEFAULTS.measured()) == set(SETTINGS) - hidden - disk  # nothing is said of a tier that is not there


@pytest.mark.parametrize("kind", [BenchConfig, SweepConfig, ProfileConfig])
def test_the_usual_workloads_are_those_that_the_model_reads(kind: Any, file: Path) -> None:
    assert resolve(kind, {"model": "reader"}).workload == tuple(TEXT_PAGES)
    assert resolve(kind, {"model": "reader", "workload": ["quote"]}).workload == ("quote",)
    assert resolve(kind, {"model": "builtin"}).workload == kind().workload
    assert resolve(kind, {"model": "owner/name"}).workload == kind().workload


def test_workloads_of_a_file_are_not_replaced(file: Path) -> None:
    file.write_text("model: reader\nworkload: binding")
    assert resolve(BenchConfig, {"config": str(file)}).workload == ("binding",)
    file.write_text("model: reader")
    assert resolve(BenchConfig, {"config": str(file)}).workload == tuple(TEXT_PAGES)


def test_options_of_a_workload_stay_with_its_name() -> None:
    given = ["gui-agent@window=3,gui-agent@window=5", "h-cua-perf@window=1, steps=2,binding"]
    names = ("gui-agent@window=3", "gui-agent@window=5", "h-cua-perf@window=1,steps=2", "binding")
    assert resolve(BenchConfig, {"workload": given}).workload == names
