"""Soundlake: listening events to a lake, a warehouse, recommendations and a dashboard."""
