"""HTML and SVG that cannot be broken out of."""
