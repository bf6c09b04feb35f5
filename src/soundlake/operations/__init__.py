"""What runs the rest: services as processes, the demo, checks."""
