"""Data sets: where the numbers come from."""
