"""What a command is told of videos reaches the model, and is checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.engine.media.sampling import DEFAULT_SAMPLING, FrameSampling
from vlcache_cli.config.commands import BenchConfig

Bench = Callable[..., int]


def test_the_frames_that_are_looked_at_are_told_by_flag_and_file(bench: Bench, world: Any) -> None:
    assert bench() == 0
    assert world.sampling == DEFAULT_SAMPLING
    assert bench("--video-fps", "0.5", "--video-frames", "8", "--output", "flags") == 0
    assert world.sampling == FrameSampling(fps=0.5, frames=8)
    Path("own.yaml").write_text("video_fps: 4\n")
    assert bench("--config", "own.yaml", "--output", "file") == 0
    assert world.sampling == FrameSampling(fps=4.0)


def test_runs_with_other_frames_are_other_runs() -> None:
    digests = {config.digest() for config in (BenchConfig(), BenchConfig(video_fps=1.0), BenchConfig(video_frames=4))}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--video-fps", "0"], "--video-fps must be a number above 0, not 0"),
        (["--video-fps", "-1"], "--video-fps must be a number above 0, not -1"),
        (["--video-frames", "-1"], "--video-frames must be a whole number from 0 to 768, not -1"),
        (["--video-frames", "769"], "--video-frames must be a whole number from 0 to 768, not 769"),
    ],
)
def test_a_wrong_option_is_one_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert bench(*arguments) == 2
    told = capsys.readouterr().err
    assert line in told
    assert told.count("\n") == 1
