"""The answer of a run: which reuse pays, what it loses at most, and what is unsafe; the same words in every form."""
