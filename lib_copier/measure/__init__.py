"""Numbers and pictures that show what a copier and a finished LoRA do."""
