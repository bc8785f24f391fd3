"""Pictures of every screen for the documentation, from a real run: `make screenshots`."""
