"""Prompts: media resolved, tokens and positions laid out, embeddings with media features in place."""
