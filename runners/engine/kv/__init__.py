"""Keys and values of a request: the buffer, what is placed into it from a store, and rotation."""
