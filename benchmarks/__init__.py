"""Every figure the project quotes, from a script anyone can run."""
