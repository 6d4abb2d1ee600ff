"""The kinds of secrets that credentials hold, and the URLs that cloud credentials call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
# Prefixes of the regions in AWS's other partitions, from botocore's partitions.json.
_AWS_DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}


@dataclass(frozen=True)
class Kind:
    """A kind of secret: the names of its fields.

    Attributes:
        secrets: The fields that are encrypted, each with whether a credential must have it.
        settings: The fields that are not encrypted, in the same form.
        formats: The pattern that a setting must match, and the error's message.
    """

    secrets: Mapping[str, bool]
    settings: Mapping[str, bool]
    formats: Mapping[str, tuple[re.Pattern[str], str]]


#: The error for a missing API key.
REQUIRED_KEY = "Required. If the server needs no API key, send any string, such as none."
_NAME_FORMAT = (_NAME, "Must be 1 to 40 of a-z 0-9 - without - at either end.")
#: The only kinds. None lets users make a server use its own identity, or read a file.
KINDS: Mapping[str, Kind] = {
    "key": Kind(
        {"api_key": True, "headers": False},
        {"organization": False, "project": False, "api_version": False},
        {},
    ),
    "aws": Kind(
        {"access_key_id": True, "secret_access_key": True, "session_token": False},
        {"region": True},
        {"region": (_REGION, "Must be the name of an AWS region, such as us-east-1.")},
    ),
    "google": Kind(
        {"service_account": True},
        {"project": True, "location": True},
        {"project": _NAME_FORMAT, "location": _NAME_FORMAT},
    ),
}


def secret_problems(kind: str, secret: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a field and a message for each part that is missing, or that the kind doesn't have."""
    yield from _problems(kind, KINDS[kind].secrets, secret)


def settings_problems(kind: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a field and a message for each setting that is missing, invalid or not of the kind."""
    yield from _problems(kind, KINDS[kind].settings, settings)
    for name, (pattern, message) in KINDS[kind].formats.items():
        value = settings.get(name)
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            yield name, message


def _problems(
    kind: str, known: Mapping[str, bool], given: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    for name in given:
        if name not in known:
            yield name, f"A credential of the kind {kind} has none."
    for name, is_required in known.items():
        if is_required and given.get(name) is None:
            yield name, REQUIRED_KEY if name == "api_key" else "Required."


def cloud_url(kind: str, settings: Mapping[str, str]) -> str:
    """Return the URL that a cloud credential calls, which its settings decide.

    Args:
        settings: Settings without problems, so that the host is always the cloud's own.
    """
    if kind == "aws":
        region = settings["region"]
        domains = (domain for prefix, domain in _AWS_DOMAINS.items() if region.startswith(prefix))
        return f"https://bedrock-runtime.{region}.{next(domains, 'amazonaws.com')}"
    location = settings["location"]
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if "-" not in location:  # a location of several regions, such as eu
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"
