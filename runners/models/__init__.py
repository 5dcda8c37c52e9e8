"""Finding, checking and loading models, and what identifies them."""
