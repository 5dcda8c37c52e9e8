"""From the bytes of a picture or a video to frames of pixels."""
