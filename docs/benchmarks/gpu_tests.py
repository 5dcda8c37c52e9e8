"""The GPU tests, every failure told at once, so that being stopped loses nothing; in one line where pytest is missing.

    python docs/benchmarks/gpu_tests.py [FILE...]

Only files with such tests are collected unless some are given. Warnings are no errors: other versions than those of
the project's own tests may run here. Exit code 0 when all passed, 2 without pytest, else pytest's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NEEDED = ("pytest", "hypothesis")
HANGS_S = 60  # after which a test's stack is printed
MARK = "pytest.mark.gpu"


class Tell:
    """A plugin of pytest that prints every outcome, and why a test failed, as soon as that is known."""

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Print one line for a test's call, or for whatever else of it did not pass."""
        if report.when == "call" or not report.passed:
            print(f"\n{report.outcome} {report.nodeid} ({report.duration:.1f} s)", flush=True)
        if report.failed:
            print(report.longreprtext, flush=True)


def main(files: Sequence[str] | None = None) -> int:
    """Run the tests; the exit code."""
    files = sys.argv[1:] if files is None else files
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        print(f"gpu_tests.py: {' and '.join(lacking)} missing: the GPU tests were not run", file=sys.stderr)
        return 2
    import pytest

    given = list(files) or marked()
    quiet = [
        "-m",
        "gpu",
        "-q",
        "--no-header",
        "--tb=short",
        "--show-capture=no",
        "-p",
        "no:cacheprovider",
        "--no-summary",
    ]
    settings = ["-W", "default", "-o", f"faulthandler_timeout={HANGS_S}", "--rootdir", str(ROOT)]
    return int(pytest.main([*quiet, *settings, *given], [Tell()]))


def marked() -> list[str]:
    """Files with GPU tests."""
    found = [path for path in (ROOT / "tests").rglob("test_*.py") if f"@{MARK}" in path.read_text("utf-8")]
    return [str(path.relative_to(ROOT)) for path in sorted(found)]


if __name__ == "__main__":
    sys.exit(main())
