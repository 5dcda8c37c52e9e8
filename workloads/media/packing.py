"""Pack decoded pictures into PNG files."""

from __future__ import annotations

import io

from PIL import Image

from workloads.media.rgb import to_rgb

PNG_MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")


def pack(picture: Image.Image) -> bytes:
    """The same pixels as a PNG file, quickly rather than tightly packed; as RGB, see ``to_rgb``, in modes PNG lacks."""
    with io.BytesIO() as file:
        plain = picture if picture.mode in PNG_MODES else to_rgb(picture)
        plain.save(file, "PNG", compress_level=1)
        return file.getvalue()
