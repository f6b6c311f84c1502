"""The sd-scripts engine: kohya's scripts, called by command line, never imported."""
