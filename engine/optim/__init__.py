"""Optimizers, learning-rate schedules, EMA."""
