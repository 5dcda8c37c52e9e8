"""Measures what reuse does to a model: the figures that ``vlcache profile`` shows and keeps."""
