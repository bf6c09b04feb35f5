"""Operate a deployment: the demo, local servers, the stack of services, the generator service, upkeep, the dead-letter queue."""
