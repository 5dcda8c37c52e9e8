"""Attention of a subset of tokens over a prompt's keys: one contract, one backend per file."""
