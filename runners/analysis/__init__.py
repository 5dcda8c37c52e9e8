"""What reuse does to a model, measured: the figures that ``vlcache profile`` shows and keeps."""
