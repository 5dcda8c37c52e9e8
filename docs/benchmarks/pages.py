"""Writes requests about large pages that come back in another order, for `vlcache bench --workload FILE`.

    python docs/benchmarks/pages.py FOLDER [--pages N] [--pixels WIDTHxHEIGHT | --model MODEL --tokens N] [--requests N]
        [--seed S] [--file NAME]

First every page comes alone, then all of them together, in as many orders as there are requests, each under new text:
no prefix is equal, every page was sent before. There are no answers: with random weights only times count. With
``--tokens`` the pages are as large as makes so many vision tokens, each, for a model of the Qwen-VL families.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from runners.models.load import resolve_model
from runners.models.shapes.catalogue import Shape
from workloads.errors import UsageError

BLOCK = 16  # pixels of one grey block
WIDEST = 2  # times as wide as high


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages and the requests, these last; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--pixels", help="448x448 unless --tokens says otherwise")
    parser.add_argument("--model", help="that --tokens is about: builtin or shape:NAME")
    parser.add_argument("--tokens", type=int, help="vision tokens of a page")
    parser.add_argument("--requests", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", default="requests.jsonl", help="with the requests, in the folder")
    options = parser.parse_args(arguments)
    if (options.model is None) != (options.tokens is None) or (options.pixels and options.tokens is not None):
        parser.error("give --pixels, or both --model and --tokens")
    if options.tokens is None:
        width, height = (int(side) for side in (options.pixels or "448x448").split("x"))
    else:
        try:
            width, height = page_size(options.model, options.tokens)
        except UsageError as error:
            print(f"pages.py: {error}", file=sys.stderr)
            return 2
    lines = write_pages(options.folder, options.pages, width, height, options.requests, options.seed)
    (options.folder / options.file).write_text(lines)
    return 0


def page_size(model: str, tokens: int) -> tuple[int, int]:
    """Width and height in pixels of a page of ``tokens`` vision tokens, or as near to that as a compact one can be.

    Raises:
        UsageError: the model's tokens do not follow from pixels, or its image processor would scale such a page.
    """
    settings = _image_settings(model)
    if tokens < 1:
        raise UsageError(f"a page of {tokens} vision tokens cannot be made: use at least 1")
    if "merge_size" not in settings:
        raise UsageError(f"model '{model}' is no Qwen-VL: what a page costs does not follow from its pixels alone")
    edge = settings["patch_size"] * settings["merge_size"]
    fewest, most = (settings["size"][name] for name in ("shortest_edge", "longest_edge"))
    rows, columns = _token_grid(tokens)
    width, height = columns * edge, rows * edge
    if not fewest <= width * height <= most:
        raise UsageError(
            f"a page of {tokens} vision tokens has {width * height:,} pixels, and the image processor of '{model}' "
            f"scales those of less than {fewest:,} or more than {most:,}: use {-(-fewest // edge**2)} to "
            f"{most // edge**2} tokens"
        )
    return width, height


def write_pages(folder: Path, pages: int, width: int, height: int, requests: int, seed: int) -> str:
    """Write pages of so many pixels as PNG files; returns requests, as JSON lines, ``requests`` about all at once."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    names = [_page(folder, index, width, height, generator) for index in range(pages)]
    alone = [_request(f"page-{index}", f"File {index}.", [name]) for index, name in enumerate(names)]
    together = [
        _request(f"all-{index}", f"Case {index}.", [names[place] for place in generator.permutation(pages)])
        for index in range(requests)
    ]
    return "".join(json.dumps(request) + "\n" for request in [*alone, *together])


def _image_settings(model: str) -> Mapping[str, Any]:
    """What a model's image processor is told."""
    source = resolve_model(model)
    if isinstance(source, Shape):
        return source.family.image_processor
    if model != "builtin":
        raise UsageError(f"pages of so many tokens are made for 'builtin' and 'shape:NAME', not for '{model}'")
    settings: Mapping[str, Any] = json.loads((source / "preprocessor_config.json").read_text("utf-8"))
    return settings


def _token_grid(tokens: int) -> tuple[int, int]:
    """Rows and columns of a page of so many vision tokens, and of those that come nearest the most compact one."""
    grids = [
        (rows, columns)
        for rows in range(1, tokens + 1)
        for columns in (tokens // rows, tokens // rows + 1)
        if rows <= columns <= WIDEST * rows
    ]
    return min(grids, key=lambda grid: (abs(grid[0] * grid[1] - tokens), grid[1] - grid[0]))


def _page(folder: Path, index: int, width: int, height: int, generator: np.random.Generator) -> str:
    grey = generator.integers(0, 256, (height // BLOCK + 1, width // BLOCK + 1), dtype=np.uint8)
    pixels = np.kron(grey, np.ones((BLOCK, BLOCK), dtype=np.uint8))[:height, :width]
    name = f"page-{index}.png"
    Image.fromarray(pixels).convert("RGB").save(folder / name)
    return name


def _request(name: str, opening: str, pages: list[str]) -> dict[str, object]:
    images = [{"type": "image_url", "image_url": {"url": page}} for page in pages]
    content = [{"type": "text", "text": opening}, *images, {"type": "text", "text": "What do they have in common?"}]
    return {"id": name, "messages": [{"role": "user", "content": content}]}


if __name__ == "__main__":
    sys.exit(main())
