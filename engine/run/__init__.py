"""The run directory: paths, events, control, status, supervisor. Light: no torch, no textual."""
