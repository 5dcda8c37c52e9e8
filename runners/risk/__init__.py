"""What is at stake in a request: estimates of the risk that its answer changes, and levels of repair chosen by them."""
