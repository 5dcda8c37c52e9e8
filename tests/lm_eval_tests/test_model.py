"""The lm-eval model over a runner that repeats what it was asked, and how model arguments are read."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from lm_eval.api.registry import get_model
from PIL import Image

from runners.lm_eval.model import VLCacheLM
from runners.lm_eval.runner import RunnerLM, collecting
from runners.records import Status
from workloads.errors import UsageError

Ask = Callable[..., Any]
FIRST, SECOND = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")


def refusal(**arguments: Any) -> str:
    with pytest.raises(UsageError) as caught:
        VLCacheLM(**arguments)
    return str(caught.value)


def test_lm_eval_knows_ours_beside_its_own() -> None:
    assert get_model("vlcache") is VLCacheLM
    assert get_model("dummy").__name__ == "DummyLM"


def test_answers_stand_in_the_order_of_the_requests_cut_where_they_end(ask: Ask, echo: Any) -> None:
    requests = [ask("<image>?", [FIRST], number=number, task=task) for task, number in (("b", 1), ("a", 2), ("b", 0))]
    requests[1].arguments[1]["until"] = ["line", "/2\nsecond"]
    model = RunnerLM(echo, warmup=0)
    assert model.generate_until(requests) == ["b/1", "a", "b/0"]
    assert [request.id for request in echo.asked] == ["b/1", "a/2", "b/0"]
    assert [(item.task, item.doc_id) for item in model.timings] == [("b", 1), ("a", 2), ("b", 0)]
    assert [item.timing.ttft_ms for item in model.timings if item.timing] == [1, 2, 3]


def test_without_an_end_an_answer_is_whole(ask: Ask, echo: Any) -> None:
    assert RunnerLM(echo).generate_until([ask("?", generation={})]) == ["cards/0\nsecond line"]


def test_a_failed_sample_has_an_empty_answer_and_says_why(ask: Ask, echo: Any) -> None:
    echo.failing = {"cards/1": Status.PROMPT_TOO_LONG}
    model = RunnerLM(echo, warmup=0)
    assert model.generate_until([ask("?", number=number) for number in range(3)]) == ["cards/0", "", "cards/2"]
    assert [item.status for item in model.timings] == [Status.OK, Status.PROMPT_TOO_LONG, Status.OK]
    assert model.timings[1].error == "cards/1 fails"
    assert model.timings[1].timing is None
    summary = model.summary()
    assert (summary.samples, summary.failed, summary.ttft_ms_p50) == (3, 1, 2.0)
    assert str(summary).endswith("; 1 samples failed, and have empty answers")


def test_a_damaged_picture_fails_its_sample_alone(ask: Ask, echo: Any) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 40.0).save(buffer, "PNG")
    damaged = Image.open(io.BytesIO(buffer.getvalue()[:-500]))
    model = RunnerLM(echo)
    assert model.generate_until([ask("<image>", [damaged]), ask("<image>", [FIRST], 1)]) == ["", "cards/1"]
    assert [item.status for item in model.timings] == [Status.BAD_MEDIA, Status.OK]


def test_nothing_is_asked_when_something_cannot_be(ask: Ask, echo: Any) -> None:
    with pytest.raises(UsageError, match="document 1: its prompt has 1 <image> for 0 pictures"):
        RunnerLM(echo).generate_until([ask("?"), ask("<image>?", number=1)])
    assert echo.asked == []


def test_warm_up_is_forgotten_and_not_counted(ask: Ask, echo: Any) -> None:
    model = RunnerLM(echo, warmup=2)
    model.generate_until([ask("<image>", [FIRST], number) for number in range(3)])
    assert [(request.id, request.max_new_tokens) for request in echo.asked[:4]] == [
        ("cards/0", 1),
        ("cards/1", 1),
        ("cards/0", 1),
        ("cards/1", 1),
    ]
    assert (echo.resets, len(model.timings)) == (1, 3)
    assert [item.recurring_media for item in model.timings] == [0, 1, 1]
    model.generate_until([ask("<image>", [FIRST])])
    assert (echo.resets, len(echo.asked), len(model.timings)) == (1, 8, 4)


def test_what_recurs_counts_over_all_tasks_until_a_reset(ask: Ask, echo: Any) -> None:
    model = RunnerLM(echo, warmup=0)
    both = [FIRST, SECOND]
    model.generate_until([ask("<image>", [FIRST], task="a"), ask("<image><image>", both, task="b")])
    model.generate_until([ask("<image><image>", both, task="c"), ask("?", task="c")])
    assert [(item.recurring_media, item.media, item.warm) for item in model.timings] == [
        (0, 1, False),
        (1, 2, False),
        (2, 2, True),
        (0, 0, False),
    ]
    summary = model.summary()
    assert (summary.warm, summary.warm_ttft_ms_p50) == (1, 3.0)
    assert summary.ttft_ms_p90 == pytest.approx(3.7)
    assert (summary.media, summary.encoder_hits, summary.kv_hits) == (5, 5, 0)
    model.reset()
    assert (model.timings, model.summary().ttft_ms_p50) == ([], None)
    model.generate_until([ask("<image>", [FIRST])])
    assert not model.timings[0].warm


def test_likelihoods_are_refused_by_the_name_of_the_task(ask: Ask, echo: Any) -> None:
    model = RunnerLM(echo)
    for method in (model.loglikelihood, model.loglikelihood_rolling):
        with pytest.raises(UsageError, match=r"^task 'arc' compares likelihoods, which runners do not tell: "):
            method([ask("?", task="arc")])


def test_a_chat_is_carried_as_it_is(ask: Ask, echo: Any) -> None:
    model = RunnerLM(echo, warmup=0)
    prompt = model.apply_chat_template([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}])
    model.generate_until([ask(prompt)])
    assert [(message.role, message.content) for message in echo.asked[0].messages] == [
        ("system", ("Be brief.",)),
        ("user", ("?",)),
    ]
    assert model.chat_template(True) == ""
    with pytest.raises(UsageError, match="without a name"):
        model.chat_template("other")
    with pytest.raises(UsageError, match="gen_prefix"):
        model.apply_chat_template([{"role": "assistant", "content": "It is"}], add_generation_prompt=False)


@pytest.mark.parametrize(
    ("arguments", "label", "options"),
    [
        ({"runner": "full"}, "full", {}),
        ({"runner": "cacheblend@score=k", "ratio": 0.2}, "cacheblend@score=k,ratio=0.2", {"score": "k", "ratio": 0.2}),
        ({"runner": "leading-k", "k": 3, "name": "three"}, "three", {"k": 3}),
        ({"runner": "random-k", "recompute_ratio": 0}, "random-k@ratio=0", {"ratio": 0.0}),
        ({"runner": "full-reuse", "rotate": False}, "full-reuse@rotate=false", {"rotate": False}),
    ],
)
def test_options_of_the_runner_may_stand_beside_it(
    arguments: dict[str, Any], label: str, options: dict[str, Any]
) -> None:
    described = VLCacheLM(device="cpu", **arguments).runner.describe()
    assert described["label"] == label
    assert described["options"].items() >= options.items()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"pretraned": "x"}, "unknown model argument 'pretraned': did you mean 'pretrained'?"),
        ({"runner": "full", "ratio": 0.1}, "unknown model argument 'ratio': "),
        ({"runner": "full", "recompute_ratio": 0.1}, "unknown model argument 'recompute_ratio': "),
        ({"runner": "vlcash"}, "unknown runner 'vlcash': did you mean 'vlcache'?"),
        ({"runner": "full,vlcache"}, "model argument runner must be one runner, not 2: 'full,vlcache'"),
        ({"runner": "vlcache", "ratio": 7}, "runner 'vlcache@ratio=7': "),
        ({"dtype": "int8"}, "model argument dtype must be one of auto, float32, bfloat16, float16, not 'int8'"),
        ({"device": "cuda:7"}, "model argument device must be one of auto, cpu, cuda, not 'cuda:7'"),
        ({"device_budget": "lots"}, "model argument device_budget must be a whole number of bytes, not 'lots'"),
        ({"strict_reuse": "yes"}, "model argument strict_reuse must be true or false, not 'yes'"),
        ({"profile": "nosuch.yaml"}, "model argument profile must be a file that is there, not 'nosuch.yaml'"),
        ({"device": "cpu", "max_images": -1}, "model argument max_images must be a whole number, not -1"),
        ({"pretrained": "builtni"}, "unknown model 'builtni': did you mean 'builtin'?"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(arguments: dict[str, Any], line: str) -> None:
    told = refusal(**arguments)
    assert told.startswith(line)
    assert "\n" not in told


def test_arguments_go_before_flags_and_every_machine_has_a_device() -> None:
    flags = {"device": "cuda:0", "batch_size": "auto", "max_batch_size": None}
    with collecting() as made:
        VLCacheLM.create_from_arg_obj({"runner": "full"}, flags)
        VLCacheLM.create_from_arg_string("runner=leading-k,k=2,device=cpu", flags)
    assert [model.runner.label for model in made] == ["full", "leading-k@k=2"]
    assert made[1].get_model_info()["vlcache"]["model"]["device"] == "cpu"
    with pytest.raises(UsageError, match="device must be one of auto, cpu, cuda, not 'mps'"):
        VLCacheLM.create_from_arg_obj({}, {"device": "mps"})
