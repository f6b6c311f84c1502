"""Which origin, which strength, which method? Variants of a recipe, what they share made once."""
