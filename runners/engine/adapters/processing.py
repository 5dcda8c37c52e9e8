"""Run the image processor of a model, whose errors become those of the medium."""

from __future__ import annotations

from typing import Any

from runners.engine.errors import MediaError, first_line, is_out_of_memory
from workloads.records import Media


def run_image_processor(processor: Any, media: Media, images: Any, **options: Any) -> Any:
    """Preprocess pictures of a medium; MediaError when the image processor cannot, whatever it raises."""
    try:
        return processor(images=images, return_tensors="pt", **options)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise MediaError(f"{media.name}: the image processor refuses it ({first_line(error)})") from error
