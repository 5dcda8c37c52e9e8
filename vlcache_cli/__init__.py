"""Talks to people: parses, calls, prints. No arithmetic, and nothing heavy imported before a command needs it."""
