"""Media files: their limits, containers, decoding and packing."""
