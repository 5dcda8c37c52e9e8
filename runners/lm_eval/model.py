"""Registers the lm-eval model ``vlcache``: a local runner, made from model arguments."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from lm_eval.api.registry import register_model
from lm_eval.utils import simple_parse_args_string

from runners.defaults import RunnerDefaults, options_by_setting
from runners.engine.attention.backends import BACKENDS
from runners.lm_eval.runner import MOST_IMAGES, RunnerLM, is_whole, logger, require
from runners.models.choices import AUTO, DEVICE_MAPS, DEVICES, DTYPES, SINGLE
from runners.models.load import load_model, resolve_model
from runners.registry import RunnerSpec, load_method, parse_specs
from workloads.errors import UsageError, unknown_name

LM_EVAL_DEVICE = "cuda:0"  # what lm-eval's command says of every machine


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
        dtype: str = AUTO,
        device: str = AUTO,
        device_map: str = SINGLE,
        attn: str = AUTO,
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
        require(is_whole(device_budget), "device_budget", "a whole number of bytes", device_budget)
        require(isinstance(strict_reuse, bool), "strict_reuse", "true or false", strict_reuse)
        require(profile is None or Path(str(profile)).is_file(), "profile", "a file that is there", profile)
        spec = _read_spec(str(runner), options, RunnerDefaults(budget_bytes=device_budget, strict_reuse=strict_reuse))
        name, measured = str(pretrained), None if profile is None else Path(str(profile))
        source = resolve_model(name, None if revision is None else str(revision), logger.info)
        model = load_model(name, source, dtype, device, profile=measured, device_map=device_map, attention=attn)
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


def _read_spec(runner: str, options: Mapping[str, Any], defaults: RunnerDefaults) -> RunnerSpec:
    """Parse the runner's spec, with ``options`` of its method added to those in it."""
    specs = parse_specs([runner], defaults)
    if len(specs) != 1:
        raise UsageError(f"model argument runner must be one runner, not {len(specs)}: '{runner}'")
    if specs[0].is_server:
        raise UsageError("model argument runner is a server: lm-eval asks servers by models of its own")
    method = load_method(specs[0])
    taken = ["name", *(option.name for option in fields(method))]
    settings = options_by_setting(method)  # what the command line of vlcache calls options of many runners
    known = [name for name in inspect.signature(VLCacheLM).parameters if name != "options"]
    told: list[str] = []
    for key, value in options.items():
        if settings.get(key, key) not in taken:
            raise unknown_name("model argument", key, [*known, *taken])
        told.append(f"{settings.get(key, key)}={str(value).lower() if isinstance(value, bool) else value}")
    if not told:
        return specs[0]
    return parse_specs([f"{runner}{',' if '@' in runner else '@'}{','.join(told)}"], defaults)[0]


def _require_one_of(choices: Sequence[str], name: str, value: object) -> None:
    require(value in choices, name, f"one of {', '.join(choices)}", value)
