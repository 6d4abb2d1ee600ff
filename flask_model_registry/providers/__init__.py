"""The world outside: who serves models, and which addresses they may be at."""
