"""Operate a deployment: the demo, the stack of services, upkeep, the dead-letter queue."""
