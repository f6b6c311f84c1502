"""How a step is executed: one task, one command, one child process."""
