"""The commands, one file for each group: parse the options, call wiring, print the result."""
