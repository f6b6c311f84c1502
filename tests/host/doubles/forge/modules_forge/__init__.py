"""The mark of the Forge family."""
