"""Answers requests: the built-in reuse engine, its methods and the embedded model. The only place with torch."""
