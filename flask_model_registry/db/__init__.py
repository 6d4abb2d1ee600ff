"""The tables in SQLAlchemy, and statements on them."""
