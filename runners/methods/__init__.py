"""The methods: one file, one rule, one source each."""
