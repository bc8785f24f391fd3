"""The trainer of the Stable Cascade Stage C prior. Never imports the app."""

__version__ = "0.1.0"
