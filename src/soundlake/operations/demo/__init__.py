"""The demo on the embedded default: one build of the whole pipeline, then live events beside its services."""
