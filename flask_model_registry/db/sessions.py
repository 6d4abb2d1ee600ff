"""The host's session, looked up each time it is used."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy.orm import Session


class Database(Protocol):
    """What the registry asks of Flask-SQLAlchemy or Flask-SQLAlchemy-Lite."""

    @property
    def session(self) -> Any:
        """The session of the app context, or a registry of sessions such as ``scoped_session``."""
        ...


class HostSession:
    """The session that ``db.session`` is at the moment.

    Tests put another in its place, and Flask-SQLAlchemy-Lite has one for each app context.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    def __call__(self) -> Any:
        """Return the session itself, where the host has a ``scoped_session``."""
        session = self._db.session
        return session if isinstance(session, Session) else session()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db.session, name)
