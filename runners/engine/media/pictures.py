"""Pictures decoded to RGB for the engine: whatever is wrong with a file becomes a MediaError that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from runners.engine.errors import MediaError
from workloads.media.limits import TooLargeError
from workloads.media.pictures import DamagedError, UnknownFormatError, opened, shown
from workloads.records import Media


def decode_image(media: Media) -> Image.Image:
    """Decode a picture to RGB, upright, alpha on white; MediaError when it is damaged or too large."""
    with named(media):
        return shown(opened(media.data))


@contextmanager
def named(media: Media) -> Iterator[None]:
    """Turn the errors of decoding into MediaError, with the name of the medium in front."""
    try:
        yield
    except MediaError:
        raise
    except TooLargeError as error:
        raise MediaError(f"{media.name}: {error.size}; {error.most}") from error
    except (UnknownFormatError, DamagedError) as error:
        raise MediaError(f"{media.name}: not a readable {media.kind} ({error})") from error
    except ValueError as error:
        raise MediaError(f"{media.name} {error}") from error
