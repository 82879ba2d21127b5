"""The command line: `factory`."""
