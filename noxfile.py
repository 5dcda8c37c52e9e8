"""The project's checks: ``nox`` runs lint, types and tests; ``nox -s gpu`` and ``nox -s build`` run the rest."""

from __future__ import annotations

import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.stop_on_first_error = True

PROJECT = nox.project.load_toml("pyproject.toml")
WHEEL = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]


def group(name: str) -> tuple[str, ...]:
    """The requirements of a dependency group."""
    return nox.project.dependency_groups(PROJECT, name)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly."""
    session.install(".", *group("types"))
    session.run("mypy", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Install the project and run every test that needs no GPU; arguments after ``--`` go to pytest."""
    session.install(".", *group("test"))
    session.run("pytest", "-m", "not gpu", *session.posargs)


@nox.session(venv_backend="none")
def gpu(session: nox.Session) -> None:
    """Run the GPU tests in the environment nox itself runs in, whose torch must know the device."""
    session.run("python", "-c", "import torch; assert torch.cuda.is_available(), 'torch finds no CUDA device'")
    session.run("python", "-m", "pytest", "-m", "gpu", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the source archive and the wheel, and check that the wheel carries every file of the packages."""
    session.install(*group("build"))
    output = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "build", "--outdir", str(output))
    (wheel,) = output.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = [path for package in WHEEL["packages"] for path in Path(package).rglob("*") if path.is_file()]
    wanted = {path.as_posix() for path in files if path.suffix != ".pyc" and path.name not in WHEEL["exclude"]}
    missing = sorted(wanted - packed)
    if missing:
        session.error(f"the wheel lacks {', '.join(missing)}")
