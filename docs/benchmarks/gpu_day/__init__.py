"""The parts of ``gpu_all.py``: what is measured on a GPU, in which order, in which time, and what is kept of it."""
