"""Traces: requests as production sends them, drawn from published statistics or read from published files."""
