"""What `vlcache profile` measured of a model: kept, read and summarised."""
