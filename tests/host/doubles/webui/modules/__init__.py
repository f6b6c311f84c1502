"""The double of the WebUI."""
