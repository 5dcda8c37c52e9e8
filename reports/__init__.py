"""Records to numbers, tables and documents. The only place with pandas; of the runners it knows the records alone."""
