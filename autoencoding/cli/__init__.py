"""The command line: what the scripts and the installed command do."""
