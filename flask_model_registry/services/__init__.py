"""The registry's work on models, grants, defaults and API keys, without Flask."""
