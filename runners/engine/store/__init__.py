"""What outlives a request: encoder output and keys and values of media, and exact prefixes."""
