"""The generator as a service: history once, then live events; its state survives restarts."""
