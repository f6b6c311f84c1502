"""LoRA files and their exact algebra."""
