"""Model files by their headers: tensors' names and shapes, families, what a checkpoint is."""
