"""The version, in a module of its own that all others may import."""

__version__ = "0.2.0"
