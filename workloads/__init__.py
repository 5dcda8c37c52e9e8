"""What is asked, and how an answer is scored. Bottom layer: no torch, no pandas."""
