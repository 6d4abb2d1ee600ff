"""The page for users: JavaScript modules, which browsers cache for a year."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from flask import Blueprint, request, send_from_directory
from werkzeug.exceptions import NotFound

from ..errors import NotFoundError
from .tags import lists

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Response

_FOLDER = Path(__file__).parent / "static"
_YEAR = 365 * 24 * 3600
_FINGERPRINTED = re.compile(r"([0-9a-f]{16})/(.+)")
# Windows reads other types from its registry, and browsers only run modules of this type.
_TYPES = {"js": "text/javascript", "json": "application/json", "ts": "text/plain"}
STATIC = "static"  # the endpoint, as Flask calls it


class PageBlueprint(Blueprint):
    """A blueprint with static files, whose ``url_for`` URLs change when the files do."""

    # APIFlask and Flask-smorest read these from each blueprint; ours has its own description.
    enable_openapi = False
    _docs: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, name: str, import_name: str, *, has_page: bool) -> None:
        folder = str(_FOLDER) if has_page else None
        super().__init__(name, import_name, static_folder=folder, static_url_path="/static")
        self.url_defaults(_add_fingerprint)

    def send_static_file(self, filename: str, **_variables: str) -> Response:
        """Return a file as a response. Flask also passes the variables of a parent's rule."""
        fingerprint, name = _split(filename)
        # Modules of two releases must not mix, so browsers revalidate files that may be old.
        is_current = fingerprint == _fingerprint()
        try:
            response = send_from_directory(
                _FOLDER,
                name,
                max_age=_YEAR if is_current else None,
                mimetype=_TYPES.get(name.rpartition(".")[2]),
            )
        except NotFound:
            raise NotFoundError from None
        tag, _ = response.get_etag()
        if tag and response.status_code == 200 and lists(request.headers.get("If-None-Match"), tag):
            response.status_code = 304  # Flask only compares tags that no proxy has marked
        return response


def _add_fingerprint(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint.rpartition(".")[2] == STATIC and values.get("filename") in _names():
        values["filename"] = f"{_fingerprint()}/{values['filename']}"


def _split(filename: str) -> tuple[str, str]:
    """Split a path into the fingerprint of some release, or an empty string, and the file name."""
    found = _FINGERPRINTED.fullmatch(filename)
    return (found[1], found[2]) if found else ("", filename)


@cache
def _names() -> frozenset[str]:
    return frozenset(path.name for path in _FOLDER.iterdir())


@cache
def _fingerprint() -> str:
    """Return one fingerprint of all files, which relative imports of modules inherit."""
    digest = hashlib.sha256()
    for name in sorted(_names()):
        digest.update(hashlib.sha256((_FOLDER / name).read_bytes()).digest())
    return digest.hexdigest()[:16]
