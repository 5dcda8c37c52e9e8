"""Media files: pictures and videos, recognised and packed."""
