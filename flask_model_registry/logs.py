"""Attributes of log records, for programs that read the log."""

from __future__ import annotations

import re

from flask import has_request_context, request

# Clients choose this header, so it must not be able to forge log lines.
_REQUEST_ID = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)


def facts(kind: str) -> dict[str, str]:
    """Return the attributes of a record: the kind, and the request if there is one.

    All names have a prefix, because logging raises KeyError if the host's record factory sets the
    same attribute.
    """
    attributes = {"model_registry_kind": kind}
    if has_request_context():
        attributes["model_registry_method"] = request.method
        attributes["model_registry_endpoint"] = request.endpoint or ""
        request_id = request.headers.get("X-Request-ID", "")
        if _REQUEST_ID.fullmatch(request_id):
            attributes["model_registry_request_id"] = request_id
    return attributes
