"""Work that is launched as one: layers and decoding steps recorded as CUDA graphs, by the buckets of their sizes."""
