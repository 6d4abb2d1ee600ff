"""The errors that the library raises. Errors that a request can cause have a code and a status."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class ConfigError(RuntimeError):
    """The setup of the host app can't work. The message says how to fix it."""


class MissingKeysError(ConfigError):
    """Stored API keys are encrypted with encryption keys that are not configured."""


class RegistryError(Exception):
    """Base class of the errors that a caller of the registry may want to catch.

    Attributes:
        code: A short name that programs can compare. The problem's ``type`` ends with it.
        status: The HTTP status that the blueprint returns.
        title: A summary, which is the same for all errors with this code.
        detail: What happened in this case, without secrets or values that the client sent.
        headers: The headers of the response, such as ``Retry-After``.

    Example:
        >>> try:
        ...     registry.resolve("none", user=alice)
        ... except RegistryError as error:
        ...     error.status, error.code, error.problem()["title"]
        (404, 'not-found', 'Not found')
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request failed"

    def __init__(self, detail: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.headers = headers or {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, (type(self), self.args, vars(self))

    def problem(self) -> dict[str, Any]:
        """Return the error as problem details (RFC 9457)."""
        return {
            "type": f"urn:problem-type:model-registry:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }


def _revived(kind: type[RegistryError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    """Unpickle an error without calling its constructor, which may not take a message."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class MalformedRequestError(RegistryError):
    """The body is not JSON that this library accepts."""

    code, status, title = "malformed-request", 400, "The request body is malformed"


class AuthenticationError(RegistryError):
    """No user is logged in, or the token is not valid."""

    code, status, title = "unauthenticated", 401, "Authentication is required"

    def __init__(self, detail: str = "", *, token_was_sent: bool = False) -> None:
        # RFC 6750, section 3.1: no error code if no token was sent.
        challenge = 'Bearer error="invalid_token"' if token_was_sent else "Bearer"
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class MissingUserError(AuthenticationError):
    """A Python call needs a user, but got ``None`` or a visitor who is not logged in.

    To act for the user of the request, leave ``user`` out.
    """

    code, title = "missing-user", "A user is missing"


class ForbiddenError(RegistryError):
    """The caller may see the model, but is not allowed to do what the request asks."""

    code, status, title = "forbidden", 403, "You may not do this"


class NotFoundError(RegistryError):
    """What the caller asked for, such as a model, doesn't exist or is hidden from the caller."""

    code, status, title = "not-found", 404, "Not found"


class MethodNotAllowedError(RegistryError):
    """The URL exists, but doesn't support the request's method."""

    code, status, title = "method-not-allowed", 405, "This method is not allowed here"

    def __init__(self, allowed: list[str]) -> None:
        methods = ", ".join(allowed)
        super().__init__(f"Allowed here: {methods}.", headers={"Allow": methods})


class ConflictError(RegistryError):
    """The change contradicts what is stored."""

    code, status, title = "conflict", 409, "This conflicts with what is stored"


class ModelIdTakenError(ConflictError):
    """Another model of the owner, or one shared with everyone, already has this ``model_id``."""

    code, title = "model-id-taken", "The model_id is taken"


class CredentialNameTakenError(ConflictError):
    """The owner already has a credential with this name."""

    code, title = "credential-name-taken", "The name of the credential is taken"


class CredentialInUseError(ConflictError):
    """Models use the credential, which prevents the deletion, the change or the transfer."""

    code, title = "credential-in-use", "The credential is in use"


class InactiveModelError(ConflictError):
    """The model is switched off."""

    code, title = "model-inactive", "The model is inactive"


class NoAddressError(ConflictError):
    """Neither the model nor its provider has a base URL."""

    code, title = "no-address", "The model has no base URL"


class BlockedAddressError(ConflictError):
    """The host app doesn't allow the model's base URL, or no longer does."""

    code, title = "address-blocked", "The model's base URL is not allowed"


class UnreadableCredentialError(ConflictError):
    """The stored API key is missing or can't be decrypted. Enter a new one."""

    code, title = "credential-unreadable", "The stored API key cannot be read"


class UnsupportedClientError(ConflictError):
    """The model's provider lacks the API that a client calls.

    The message names the clients that work.
    """

    code, title = "client-unsupported", "The model can't be called with this client"


class PreconditionFailedError(RegistryError):
    """A model or credential is not in the state that ``If-Match`` or ``If-None-Match`` asks for."""

    code, status, title = "precondition-failed", 412, "A condition of the request is not met"


class PayloadTooLargeError(RegistryError):
    """The body is larger than ``MODEL_REGISTRY_MAX_BODY_BYTES``."""

    code, status, title = "payload-too-large", 413, "The request body is too large"


class UnsupportedMediaTypeError(RegistryError):
    """The request does not declare its body as JSON in UTF-8."""

    code, status, title = "unsupported-media-type", 415, "The request body must be JSON"


class ValidationError(RegistryError):
    """Some fields are not valid.

    Attributes:
        errors: Pairs of a field's name and its problem; never the value itself.
    """

    code, status, title = "validation-failed", 422, "Some fields are not valid"

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__(" ".join(": ".join(filter(None, error)) for error in errors))
        self.errors = errors

    def problem(self) -> dict[str, Any]:
        """Return the error as problem details, with ``errors`` by field."""
        errors = [{"field": field, "message": message} for field, message in self.errors]
        return {**super().problem(), "detail": self.title, "errors": errors}


class TooManyProbesError(RegistryError):
    """The user already runs as many tests as ``MODEL_REGISTRY_PROBE_CONCURRENCY`` allows."""

    code, status, title = "too-many-probes", 429, "Too many tests at once"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class ProbesBusyError(RegistryError):
    """The process already runs its largest number of connection tests for all users together."""

    code, status, title = "probes-busy", 503, "Too many tests at once across all users"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class UpstreamError(RegistryError):
    """A provider did not respond, or its response was not as expected.

    If the guarded HTTP client refuses a call, or can't reach the provider, the SDK raises an error
    of its own. The cause of the SDK's error is then an ``UpstreamError``.

    Attributes:
        result: One of the results of a connection test. The error shows nothing else of a response.
    """

    code, status, title = "upstream", 502, "The provider did not respond as it should"

    def __init__(self, result: str, detail: str = "") -> None:
        super().__init__(detail)
        self.result = result
        self.status = 504 if result == "timeout" else 502  # type: ignore[misc]  # by result

    def problem(self) -> dict[str, Any]:
        """Return the error as problem details, with the ``result``."""
        return {**super().problem(), "result": self.result}


class StorageFullError(RegistryError):
    """The database is full, and nothing was written."""

    code, status, title = "storage-full", 507, "There is no room to store this"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"Retry-After": "60"})


class UnavailableError(RegistryError):
    """The database did not respond, or a ``secret_box`` or ``secret_source`` raised this error.

    Args:
        detail: A message for Python code and the commands. HTTP responses leave it out.
    """

    code, status, title = "unavailable", 503, "The service is unavailable for the moment"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


def describe_type(value: Any) -> str:
    """Describe the type of a value for an error, without the value."""
    if inspect.iscoroutine(value):
        value.close()  # Python would warn that it was never awaited
        return "not a coroutine; the registry doesn't support async functions"
    if isinstance(value, type):
        return f"not the class {value.__name__}"
    return f"not of type {type(value).__name__}"
