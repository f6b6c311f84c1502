"""Pictures: reading and writing them, the edits that a slider is learned from, and checks of a pair."""
