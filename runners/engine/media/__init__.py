"""Media files: content keys, pictures and clips decoded to RGB, frames sampled."""
