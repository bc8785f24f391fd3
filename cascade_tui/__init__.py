"""The terminal product: what a person touches. Never imports torch."""
