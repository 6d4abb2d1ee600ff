"""Tests of the registry as it is in a host's app, for the host's own suite. They need pytest."""

from .conformance import ModelRegistryConformance

__all__ = ["ModelRegistryConformance"]
