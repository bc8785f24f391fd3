"""The published networks at their full size with random weights, for benchmarks without the hub."""
