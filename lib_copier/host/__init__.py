"""Where the page runs: in a WebUI or on its own, behind one protocol."""
