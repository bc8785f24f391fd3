"""Builds stage-c-tiny: a small model in the published layout, for the demo and the tests."""
