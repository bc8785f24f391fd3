"""The loop, the step, checkpoints, validation."""
