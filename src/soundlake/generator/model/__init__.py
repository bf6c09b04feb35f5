"""What listeners do, as Arrow tables of events: catalogue, tastes, sessions, track selection, playback, interactions."""
