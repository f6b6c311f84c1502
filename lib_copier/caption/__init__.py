"""Captions: a WD14 tagger in a child process."""
