"""The built-in reuse engine: prompt -> segments -> stores -> plan -> prefill -> first token -> decode."""
