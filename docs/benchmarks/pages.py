"""Writes requests about large pages that come back in another order, for `vlcache bench --workload FILE`.

    python docs/benchmarks/pages.py FOLDER [--pages N] [--pixels WIDTHxHEIGHT] [--requests N] [--seed S]

First every page comes alone, then all of them together, in as many orders as there are requests, each under new text:
no prefix is equal, every page was sent before. There are no answers: with random weights only times count.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

BLOCK = 16  # pixels of one grey block


def main() -> None:
    """Write the pages and ``requests.jsonl``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--pixels", default="448x448")
    parser.add_argument("--requests", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    width, height = (int(side) for side in options.pixels.split("x"))
    generator = np.random.default_rng(options.seed)
    names = [_page(options.folder, index, width, height, generator) for index in range(options.pages)]
    alone = [_request(f"page-{index}", f"File {index}.", [name]) for index, name in enumerate(names)]
    together = [
        _request(f"all-{index}", f"Case {index}.", [names[place] for place in generator.permutation(options.pages)])
        for index in range(options.requests)
    ]
    lines = "".join(json.dumps(request) + "\n" for request in [*alone, *together])
    (options.folder / "requests.jsonl").write_text(lines)


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
    main()
