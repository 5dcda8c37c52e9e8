"""What a request takes: time by parts, operations, peak memory, and the roofline beneath."""
