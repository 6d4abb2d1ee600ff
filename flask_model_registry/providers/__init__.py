"""Providers: who serves models, where they may be called, and HTTP clients for them."""
