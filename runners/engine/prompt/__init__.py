"""From messages and media to a laid-out prompt: token ids, positions, embeddings, content keys."""
