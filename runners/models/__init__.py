"""Find, check, load and identify models."""
