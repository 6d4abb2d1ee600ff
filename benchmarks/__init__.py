"""What the library costs, and how that grows. ``python -m benchmarks --help``."""
