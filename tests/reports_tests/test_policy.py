from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.gate.policy import Policy, Rule, default_limits
from reports.gate.policy_file import LARGEST_FILE, read_policy
from reports.gate.requirements import REQUIREMENTS
from reports.run.descriptions import RunnerDescription
from workloads.errors import UsageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A policy; tests write it."""
    return tmp_path / "policy.yaml"


def test_a_policy_is_read_as_it_is_written(file: Path) -> None:
    file.write_text(
        """
        alpha: 0.1
        workloads: binding
        runners: [vlcache, "cacheblend*"]
        rules:
          - margin: 0.03
            min-speedup: 1.5
          - workload: binding
            runner: vlcache
            max_ttft_p99_ratio: 1
            min-hit-rate: null
        """
    )
    assert read_policy(file) == Policy(
        str(file),
        0.1,
        ("binding",),
        ("vlcache", "cacheblend*"),
        (
            Rule({"margin": 0.03, "min_speedup": 1.5}),
            Rule({"max_ttft_p99_ratio": 1.0, "min_hit_rate": None}, "binding", "vlcache"),
        ),
    )


def test_an_empty_policy_leaves_the_defaults(file: Path) -> None:
    file.write_text("# later\n")
    policy = read_policy(file)
    assert policy.limits("binding", "vlcache", {"margin": 0.02}) == {"margin": 0.02}
    assert policy.judges("binding", "vlcache")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rule: []", "{file}: unknown policy key 'rule': did you mean 'rules'?"),
        ("rules: [{min_speed: 2}]", "{file}: rules[0]: unknown requirement 'min_speed': did you mean 'min_speedup'?"),
        (
            "rules: [{margin: 0.1}, {marign: 2}]",
            "{file}: rules[1]: unknown requirement 'marign': did you mean 'margin'?",
        ),
        ("rules: [{margin: 0}]", "{file}: rules[0].margin must be a number between 0 and 1, or null, not 0"),
        ("rules: [{margin: 2%}]", "{file}: rules[0].margin must be a number between 0 and 1, or null, not '2%'"),
        ("rules: [{margin: true}]", "{file}: rules[0].margin must be a number between 0 and 1, or null, not True"),
        ("rules: [{min_speedup: .nan}]", "{file}: rules[0].min_speedup must be a number between 0 and 1e+06, or null"),
        (
            "rules: [{min-hit-rate: 1.5}]",
            "{file}: rules[0].min_hit_rate must be a number from 0 to 1, or null, not 1.5",
        ),
        (
            "rules: [{margin: [1, 2]}]",
            "{file}: rules[0].margin must be a number between 0 and 1, or null, not [1, 2]",
        ),
        ("rules: [{margin: 0.1, margin: 0.2, max-slowdown: 1}]", "{file}: rules[0].max_slowdown must be"),
        ("rules: [{min-hit-rate: 1, min_hit_rate: 1}]", "{file}: rules[0]: 'min_hit_rate' is given twice"),
        ("rules: [{runner: vlcache}]", "{file}: rules[0] requires nothing: add one of margin, "),
        ("rules: [{runner: 7, margin: 0.1}]", "{file}: rules[0].runner must be a text, not 7"),
        ("rules: [margin]", "{file}: rules[0] must map names to values, not 'margin'"),
        ("rules: {margin: 0.02}", "{file}: rules must be a list, not {{'margin': 0.02}}"),
        ("runners: [vlcache, ' ']", "{file}: runners[1] must be a text, not ' '"),
        ("alpha: 0.5", "{file}: alpha must be a number from 1e-06 to 0.4, not 0.5"),
        ("alpha: small", "{file}: alpha must be a number from 1e-06 to 0.4, not 'small'"),
        ("[rules]", "{file} must map names to values, not ['rules']"),
        ("7: 8", "{file}: unknown policy key '7': known: alpha, rules, runners, workloads"),
        ("rules: [", "{file} is not valid YAML: "),
        ("!!python/object/apply:os.getcwd []", "{file} is not valid YAML: "),
        ("[" * 5000, "{file} is not valid YAML: "),
        ("alpha: " + "9" * 5000, "{file} is not valid YAML: "),
    ],
)
def test_mistakes_are_named(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_policy(file)
    assert str(caught.value).startswith(message.format(file=file))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(file)) + 400


def test_what_refers_to_itself_over_and_over_is_told_in_one_line(file: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)), "margin: *a39"]
    file.write_text(f"rules: [{{{', '.join(lines)}}}]")
    with pytest.raises(UsageError, match="unknown requirement 'a0'"):
        read_policy(file)


def test_files_that_are_too_large_or_not_there(file: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*policy\.yaml: No such file or directory"):
        read_policy(file)
    file.write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(UsageError, match="is larger than 1 MiB: that is no policy"):
        read_policy(file)


def test_names_may_hold_what_patterns_are_made_of() -> None:
    rule = Rule({"margin": 0.1}, runner="leading-k@k=[1]?")
    assert rule.holds_for("binding", "leading-k@k=[1]?")
    assert not rule.holds_for("binding", "leading-k@k=1x")
    assert Rule({"margin": 0.1}, workload="*.jsonl").holds_for("mine.jsonl", "vlcache")


@pytest.mark.parametrize(
    ("runner", "keys"),
    [
        ({"method": "prefix-cache", "lossless": True}, ["max_differences", "min_hit_rate"]),
        ({"method": "vlcache", "lossless": False}, ["margin", "min_hit_rate", "min_speedup", "min_kv_hit_rate"]),
        (
            {"method": "vlcache", "lossless": False, "options": {"ratio": 1.0}},
            ["margin", "min_hit_rate", "min_speedup"],
        ),
    ],
)
def test_what_is_required_by_itself(runner: dict[str, Any], keys: list[str]) -> None:
    limits = default_limits(RunnerDescription("it", **runner), 0.01)
    assert list(limits) == keys
    assert limits.get("margin", 0.01) == 0.01
    assert limits.get("max_differences", 0) == 0


def test_every_key_has_a_sentence_and_limits_that_make_sense() -> None:
    for key, requirement in REQUIREMENTS.items():
        assert requirement.key == key
        assert requirement.meaning
        assert requirement.read(None) is None
        assert requirement.read((requirement.low + requirement.high) / 2) == (requirement.low + requirement.high) / 2
