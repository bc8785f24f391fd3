"""The run directory: paths, events, control, status, supervisor. Standard library only."""
