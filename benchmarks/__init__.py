"""What `run.py bench` measures: speed, memory and exactness, each beside the plain way of doing it."""
