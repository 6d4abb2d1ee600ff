"""Tests of the registry within a host's app, for the host's own suite. They need pytest."""

from .conformance import ModelRegistryConformance

__all__ = ["ModelRegistryConformance"]
