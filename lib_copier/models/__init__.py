"""Checkpoints: which family, sizes from the tensors, load and save, text encoding, latents, noise."""
