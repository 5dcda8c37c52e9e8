"""Runners as models of lm-eval: its command line, its requests, and the time that they take."""
