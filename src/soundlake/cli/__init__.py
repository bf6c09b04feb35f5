"""The commands: one file a group; each parses, calls wiring and prints."""
