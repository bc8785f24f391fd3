"""Schedule, weighting, targets, sampler: pure functions of tensors."""
