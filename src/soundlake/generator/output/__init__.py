"""Where generated events go: files, export folders and the event log, with worker processes, injected faults and the ground truth."""
