"""Runners that are servers: any OpenAI-compatible chat server, asked over HTTP and timed as it streams."""
