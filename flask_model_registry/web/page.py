"""The page for users: a file of JavaScript, which browsers keep for a year."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flask import Blueprint, request
from werkzeug.exceptions import NotFound

from ..errors import NotFoundError
from .tags import lists

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Response

_FOLDER = Path(__file__).parent / "static"
_HOUR, _YEAR = 3600, 365 * 24 * 3600
STATIC = "static"  # the endpoint, as Flask calls it


class PageBlueprint(Blueprint):
    """A blueprint with static files; ``url_for`` gives them addresses that change as they do."""

    # APIFlask and Flask-smorest ask each blueprint; ours describes itself.
    enable_openapi = False
    _docs: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, name: str, import_name: str, *, has_page: bool) -> None:
        folder = str(_FOLDER) if has_page else None
        super().__init__(name, import_name, static_folder=folder, static_url_path="/static")
        self.url_defaults(_add_fingerprint)

    def send_static_file(self, filename: str, **_variables: str) -> Response:
        """Return a file as a response; called by Flask, with the variables of a parent's rule."""
        try:
            response = super().send_static_file(filename)
        except NotFound:
            raise NotFoundError from None
        tag, _ = response.get_etag()
        if tag and response.status_code == 200 and lists(request.headers.get("If-None-Match"), tag):
            response.status_code = 304  # Flask knows only tags that no proxy has marked
        return response

    def get_send_file_max_age(self, filename: str | None) -> int:
        """Return how many seconds browsers may keep a file; called by Flask."""
        fingerprint = _fingerprints().get(filename or "")
        is_named = fingerprint is not None and request.args.get("v") == fingerprint
        return _YEAR if is_named else _HOUR


def _add_fingerprint(endpoint: str, values: dict[str, Any]) -> None:
    fingerprint = _fingerprints().get(values.get("filename", ""))
    if endpoint.rpartition(".")[2] == STATIC and fingerprint:
        values.setdefault("v", fingerprint)


@cache
def _fingerprints() -> Mapping[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in _FOLDER.iterdir()
    }
