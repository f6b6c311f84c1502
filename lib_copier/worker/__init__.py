"""The child that stays: does the embedded engine's jobs one after the other, as their own processes would."""
