"""The reader: SmolLM2-135M-Instruct behind a vision tower solved in closed form, so that it reads pages of words."""
