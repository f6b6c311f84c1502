"""Copier LoRA: sliders for Stable Diffusion, learned from one picture and its retouched copy."""

__version__ = "0.1.0"
