"""The product without a WebUI: its commands and its own small server."""
