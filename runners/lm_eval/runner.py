"""Wraps any runner as an lm-eval model: answers its requests one by one, in its order, and times them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, replace
from typing import Any

import lm_eval.models  # noqa: F401  # before anything is registered: it registers its own only where there is none
from blake3 import blake3
from lm_eval.api.model import LM
from lm_eval.models.utils import postprocess_generated_text
from tqdm import tqdm  # type: ignore[import-untyped]

from runners.base import Response, Runner
from runners.engine.errors import MediaError
from runners.lm_eval.prompt import Chat, Question, read, write_chat
from runners.lm_eval.timing import SampleTiming, Summary, summarise
from runners.records import Status
from workloads.errors import UsageError
from workloads.records import Media, media_in

MOST_IMAGES = 999  # as lm-eval's hf-multimodal

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
        require(is_whole(max_images), "max_images", "a whole number", max_images)
        require(is_whole(warmup), "warmup", "a whole number", warmup)
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
        """Summarise the times of all answers since the last reset."""
        return summarise(self.timings)

    def get_model_info(self) -> dict[str, Any]:
        """What lm-eval adds to its results, under ``config``."""
        return {"vlcache": {"runner": self.runner.describe(), "summary": asdict(self.summary())}}

    def _warm_up(self, questions: Sequence[Question]) -> None:
        """Answer once cold and once warm, unless something is stored, which the reset would forget."""
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
                task=question.task,
                doc_id=question.doc_id,
                prompt_hash=question.prompt_hash,
                media=len(media),
                recurring_media=recurring,
                status=response.status,
                error=response.error,
                timing=response.timing,
                cache=response.cache,
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


@contextmanager
def collecting() -> Iterator[list[RunnerLM]]:
    """Collect the models that are made in the body: lm-eval's command line does not return them."""
    models: list[RunnerLM] = []
    token = _made.set(models)
    try:
        yield models
    finally:
        _made.reset(token)


def require(fits: bool, name: str, what: str, value: object) -> None:
    """UsageError for a model argument that does not fit."""
    if not fits:
        raise UsageError(f"model argument {name} must be {what}, not {value!r}")


def is_whole(value: object) -> bool:
    """Whether it is a whole number, and not negative."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _no_likelihoods(requests: Sequence[Any]) -> UsageError:
    return UsageError(
        f"task '{requests[0].task_name}' compares likelihoods, which runners do not tell: "
        "choose a task with output_type generate_until"
    )
