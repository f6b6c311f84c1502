"""One VAE file."""

vae_dict = {"mine.vae.safetensors": "/models/VAE/mine.vae.safetensors"}
