"""What a command measures: checked while it is cheap, then run."""
