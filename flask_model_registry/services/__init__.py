"""What the registry does with models, grants, defaults and API keys; doesn't import Flask."""
