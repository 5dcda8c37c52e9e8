"""Any runner as an lm-eval model; importing this registers ``vlcache`` with lm-eval.

Requests are answered one at a time in the order lm-eval gives them, since what recurs depends on it, and each is timed.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401  # before anything is registered: it registers its own only where there is none
from blake3 import blake3
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import postprocess_generated_text
from lm_eval.utils import simple_parse_args_string
from tqdm import tqdm  # type: ignore[import-untyped]

from runners.base import Response, Runner
from runners.engine.backends import BACKENDS
from runners.engine.errors import MediaError
from runners.lm_eval_prompt import Chat, Question, read, write_chat
from runners.lm_eval_timing import SampleTiming, Summary, summarise
from runners.models import AUTO, DEVICES, DTYPES, load_model, resolve_model
from runners.records import Status
from runners.registry import RunnerDefaults, RunnerSpec, load_method, parse_specs
from workloads.errors import UsageError, unknown_name
from workloads.records import Media, media_in

DEVICE_MAPS = ("single", "auto")
MOST_IMAGES = 999  # as lm-eval's hf-multimodal
LM_EVAL_DEVICE = "cuda:0"  # what lm-eval's command says of every machine
RATIO = {"recompute_ratio": "ratio"}  # what the command line of vlcache calls an option of many runners

logger = logging.getLogger("lm_eval.vlcache")  # lm-eval shows what stands under its own name
_made: ContextVar[list[RunnerLM] | None] = ContextVar("_made", default=None)


class RunnerLM(LM):  # type: ignore[misc]  # lm-eval tells no types
    """See lm-eval's ``LM``.

    Without lm-eval's chat template a context is one message of the user: runners answer chats, under the template of
    their model.

    Args:
        runner: answers; what it stores stays from task to task.
        max_images: pictures of a prompt beyond these are left out, with their placeholders.
        warmup: samples answered first, twice, and not counted; the runner forgets them.
    """

    MULTIMODAL = True

    def __init__(self, runner: Runner, max_images: int = MOST_IMAGES, warmup: int = 1) -> None:
        super().__init__()
        _require(_is_whole(max_images), "max_images", "a whole number", max_images)
        _require(_is_whole(warmup), "warmup", "a whole number", warmup)
        self.runner = runner
        self.timings: list[SampleTiming] = []
        self._max_images, self._warmup = max_images, warmup
        self._sent: set[bytes] = set()
        made = _made.get()
        if made is not None:
            made.append(self)

    @property
    def tokenizer_name(self) -> str:
        """See ``LM``: names the form of the prompts, which no tokenizer has a part in."""
        return "vlcache-chat"

    def chat_template(self, chat_template: bool | str = False) -> str:
        """See ``LM``: empty, the runner has it."""
        if isinstance(chat_template, str):
            raise UsageError("a runner uses its model's own chat template: give --apply_chat_template without a name")
        return ""

    def apply_chat_template(self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
        """See ``LM``: the messages as they are, for the runner to render."""
        if not add_generation_prompt:
            raise UsageError(
                "the task begins the answer itself (gen_prefix), which runners cannot: choose another task"
            )
        return write_chat(chat_history)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """See ``LM``: what cannot be answered has an empty answer, and a status in ``timings``.

        Raises:
            UsageError: before anything is answered, for what no runner can be asked.
        """
        questions = [read(request, self._max_images) for request in requests]
        if any(not isinstance(request.args[0], Chat) for request in requests):
            logger.warning("contexts are sent as one user message each: runners answer chats (--apply_chat_template)")
        self._warm_up(questions[: self._warmup])
        answers: list[str] = []
        shown = tqdm(questions, desc=f"{self.runner.label}: answers", disable=disable_tqdm or None)
        for request, question in zip(requests, shown, strict=True):
            answers.append(self._answer(question))
            self.cache_hook.add_partial("generate_until", request.args, answers[-1])
        return answers

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """See ``LM``: not offered."""
        raise _no_likelihoods(requests)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """See ``LM``: not offered."""
        raise _no_likelihoods(requests)

    def reset(self) -> None:
        """Forget everything stored and measured."""
        self.runner.reset()
        self.timings.clear()
        self._sent.clear()

    def summary(self) -> Summary:
        """Of everything answered since the last reset."""
        return summarise(self.timings)

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval adds to its results, under ``config``."""
        return {"vlcache": {"runner": self.runner.describe(), "summary": asdict(self.summary())}}

    def _warm_up(self, questions: Sequence[Question]) -> None:
        """Once cold and once warm, as long as nothing is stored that would be forgotten with it."""
        if self.timings or not questions:
            return
        for question in [*questions, *questions]:
            self._ask(replace(question, max_new_tokens=1))
        self.runner.reset()

    def _answer(self, question: Question) -> str:
        media, response = self._ask(question)
        recurring = 0
        for medium in media:
            digest = blake3(medium.data).digest()
            recurring += digest in self._sent
            self._sent.add(digest)
        self.timings.append(
            SampleTiming(
                question.task,
                question.doc_id,
                question.prompt_hash,
                len(media),
                recurring,
                response.status,
                response.error,
                response.timing,
                response.cache,
            )
        )
        text: str = postprocess_generated_text(response.text or "", list(question.until), None)
        return text

    def _ask(self, question: Question) -> tuple[tuple[Media, ...], Response]:
        try:
            request = question.request()
        except MediaError as error:
            return (), Response(Status.BAD_MEDIA, error=str(error))
        return media_in(request.messages), self.runner.answer(request)


class VLCacheLM(RunnerLM):
    """A local runner, made from what ``--model_args`` says.

    Args:
        runner: a spec, as for ``vlcache bench --runner``; its options may also stand among ``options``.
        pretrained: the model, as for ``vlcache bench --model``; ``revision``, ``dtype``, ``device``, ``device_map`` and
            ``attn`` are that command's as well.
        profile: file with what was measured for the model; that beside its weights, if any, when None.
        device_budget: most bytes stored on the device.
        strict_reuse: a sample fails when something that should be reused is computed.
        batch_size, max_batch_size: accepted and ignored; samples are answered one at a time.

    Raises:
        UsageError: the first argument that is not known or will not work.
    """

    def __init__(
        self,
        runner: str = "vlcache",
        pretrained: str = "builtin",
        revision: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        device_map: str = "single",
        attn: str = "auto",
        profile: str | None = None,
        device_budget: int = RunnerDefaults.budget_bytes,
        strict_reuse: bool = False,
        max_images: int = MOST_IMAGES,
        warmup: int = 1,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        **options: Any,
    ) -> None:
        from runners.local import build_runner

        _require_one_of(DTYPES, "dtype", dtype)
        _require_one_of(DEVICES, "device", device)
        _require_one_of(DEVICE_MAPS, "device_map", device_map)
        _require_one_of((AUTO, *BACKENDS), "attn", attn)
        _require(_is_whole(device_budget), "device_budget", "a whole number of bytes", device_budget)
        _require(isinstance(strict_reuse, bool), "strict_reuse", "true or false", strict_reuse)
        _require(profile is None or Path(str(profile)).is_file(), "profile", "a file that is there", profile)
        spec = _read_spec(str(runner), options, RunnerDefaults(budget_bytes=device_budget, strict_reuse=strict_reuse))
        name, measured = str(pretrained), None if profile is None else Path(str(profile))
        source = resolve_model(name, None if revision is None else str(revision))
        model = load_model(name, source, dtype, device, measured, device_map, attn)
        if model.random_weights:
            logger.warning("%s has random weights: its answers, and so all scores, mean nothing", name)
        super().__init__(build_runner(spec, model), max_images, warmup)
        self._model = model

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> VLCacheLM:
        """See ``LM``: what model arguments say goes before flags such as ``--device``."""
        flags = {key: value for key, value in (additional_config or {}).items() if value is not None}
        if flags.get("device") == LM_EVAL_DEVICE:
            flags["device"] = "auto"
        return cls(**flags | arg_dict)

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: dict[str, Any] | None = None) -> VLCacheLM:
        """See ``LM``."""
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    def get_model_info(self) -> dict[str, Any]:
        """See ``RunnerLM``."""
        told = super().get_model_info()
        return {"vlcache": told["vlcache"] | {"model": self._model.describe()}}


register_model("vlcache")(VLCacheLM)


@contextmanager
def collecting() -> Iterator[list[RunnerLM]]:
    """The models that are made in the body: lm-eval's command line keeps to itself what it makes."""
    models: list[RunnerLM] = []
    token = _made.set(models)
    try:
        yield models
    finally:
        _made.reset(token)


def _read_spec(runner: str, options: Mapping[str, Any], defaults: RunnerDefaults) -> RunnerSpec:
    """The runner asked for, ``options`` of its method added to those of its spec."""
    specs = parse_specs([runner], defaults)
    if len(specs) != 1:
        raise UsageError(f"model argument runner must be one runner, not {len(specs)}: '{runner}'")
    taken = ["name", *(option.name for option in fields(load_method(specs[0])))]
    known = [name for name in inspect.signature(VLCacheLM).parameters if name != "options"]
    told: list[str] = []
    for key, value in options.items():
        if RATIO.get(key, key) not in taken:
            raise unknown_name("model argument", key, [*known, *taken])
        told.append(f"{RATIO.get(key, key)}={str(value).lower() if isinstance(value, bool) else value}")
    if not told:
        return specs[0]
    return parse_specs([f"{runner}{',' if '@' in runner else '@'}{','.join(told)}"], defaults)[0]


def _require(fits: bool, name: str, what: str, value: object) -> None:
    if not fits:
        raise UsageError(f"model argument {name} must be {what}, not {value!r}")


def _require_one_of(choices: Sequence[str], name: str, value: object) -> None:
    _require(value in choices, name, f"one of {', '.join(choices)}", value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _no_likelihoods(requests: Sequence[Any]) -> UsageError:
    return UsageError(
        f"task '{requests[0].task_name}' compares likelihoods, which runners do not tell: "
        "choose a task with output_type generate_until"
    )
