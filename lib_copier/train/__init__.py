"""The embedded trainer: one loop, made for one still picture (or a few)."""
