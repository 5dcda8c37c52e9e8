"""Pages of printed text: sentences made from a small grammar, one word in each cell, and what is asked about them."""
