"""Runs any chain of steps: content keys, a store, status with reasons, a runner, events, a queue."""
