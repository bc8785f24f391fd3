"""Options, rules and documents. No torch."""
