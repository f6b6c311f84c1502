"""The project's own Python environment: made, checked and repaired with the standard library alone."""
