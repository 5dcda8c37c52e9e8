"""From records to the summary: its columns, its rows, and the notices that go with them."""
