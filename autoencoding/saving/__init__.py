"""Checkpoints, SavedModels, and pickles that are read without running code."""
