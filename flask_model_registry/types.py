"""Types that Python calls take and return. Only type checkers load this module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Category = Literal["llm", "embedding", "image", "speech", "rerank"]
ConfigType = Literal[
    "general", "small_fast", "visual", "compact", "embedding", "image", "image_edit", "asr", "tts",
    "rerank",
]  # fmt: skip
Relation = Literal["owner", "everyone", "grantee", "group"]
Scope = Literal["user", "app"]
Sort = Literal["id", "model_id", "model_provider", "updated_at", "tested_at"]
CredentialKind = Literal["key", "aws", "google"]


class ModelRepresentation(TypedDict):
    """A model as its reader sees it."""

    id: int
    model_id: str
    category: Category
    model_provider: str
    model_name: str
    base_url: str | None
    temperature: float | None
    dimension: int | None
    abilities: list[str] | None
    description: str | None
    created_at: str | None
    updated_at: str | None
    is_active: bool
    is_owner: bool
    can_edit: bool
    can_delete: bool
    is_shared: bool


class SecretSource(Protocol):
    """A function that returns the host's secrets, for credentials that refer to them by name.

    The function returns the API key as a string, the whole secret as a dict (as for a new
    credential), or ``None``.
    """

    def __call__(
        self, name: str, /, *, owner: Any, provider: str, origin: str
    ) -> str | Mapping[str, Any] | None:
        """Return the secret if the owner of the credential may send it to the origin.

        Args:
            name: The reference of the credential.
            owner: The user who owns the credential, even if another user calls the model.
            provider: The id of the provider, such as ``openai``.
            origin: Where the secret is sent, such as ``https://api.openai.com``. Users choose this
                URL.

        Raises:
            UnavailableError: The server that keeps the secrets doesn't respond.

        Example:
            ``return vault.get(name) if (name, origin) in ALLOWED.get(owner.id, ()) else None``
        """


class _Optional(TypedDict, total=False):
    category: Category
    base_url: str | None
    temperature: float | None
    dimension: int | None
    abilities: list[str] | tuple[str, ...] | None
    description: str | None
    share_with_users: bool


class NewModel(_Optional):
    """The fields of a model to register."""

    model_id: str
    model_provider: str
    model_name: str
    api_key: str


class ModelChanges(_Optional, total=False):
    """The fields of a model to change. Omitted fields stay unchanged."""

    model_id: str
    model_provider: str
    model_name: str
    api_key: str | None
    is_active: bool


class CountFilters(TypedDict, total=False):
    """Which models to count. A filter that is ``None`` has no effect."""

    model_id: str | None
    category: Category | None
    model_provider: str | None
    ability: str | None
    is_active: bool | None
    owned: bool | None
    q: str | None


class ListFilters(CountFilters, total=False):
    """Which models to list, in which order, and which page of them."""

    sort: Sort
    descending: bool
    after: int | None
    after_value: str | None
    limit: int | None


class Summary(TypedDict):
    """The number of models, in total and by category, provider and ability."""

    total: int
    by_category: dict[str, int]
    by_provider: dict[str, int]
    by_ability: dict[str, int]


class UserGrant(TypedDict):
    """A grant to a user. ``user`` is the primary key as a string."""

    user: str
    can_edit: bool
    can_delete: bool


class GroupGrant(TypedDict):
    """A grant to a group."""

    group: str
    can_edit: bool
    can_delete: bool


class Grants(TypedDict):
    """The grants of a model to users and groups."""

    users: list[UserGrant]
    groups: list[GroupGrant]


class Parameters(TypedDict):
    """The parameters sent with each call to a model, and facts about the model."""

    parameters: dict[str, Any]
    info: dict[str, Any]


class UsedCredential(TypedDict):
    """The credential that a model uses."""

    id: int
    name: str


class KeyDetails(TypedDict):
    """Facts about a model's API key. Only the model's owner sees ``credential``."""

    is_set: bool
    updated_at: str | None
    expires_at: str | None
    credential: UsedCredential | None


class LastTest(TypedDict):
    """The result of the last connection test."""

    result: str
    latency_ms: int | None
    at: str


class GrantCounts(TypedDict):
    """How many users and groups a model is granted to."""

    users: int
    groups: int


class ModelDetails(Parameters):
    """A model with details beyond its representation."""

    model: ModelRepresentation
    owner: str
    relations: list[Relation]
    groups: list[str]
    address: str | None
    is_provider_address: bool
    key: KeyDetails
    test: LastTest | None
    grants: GrantCounts | None


class AccountSecret(TypedDict, total=False):
    """The secret of a credential: the fields of its kind, such as ``api_key`` and headers."""

    api_key: str
    headers: dict[str, str]
    access_key_id: str
    secret_access_key: str
    session_token: str
    service_account: str | dict[str, str]


class NewSecret(AccountSecret, total=False):
    """The secret of a credential, or the name of a secret that the app keeps."""

    reference: str


class AccountSecretChange(TypedDict, total=False):
    """Changes to a secret. ``None`` removes a header, all headers, or a session token."""

    api_key: str
    headers: dict[str, str | None] | None
    access_key_id: str
    secret_access_key: str
    session_token: str | None
    service_account: str | dict[str, str]
    reference: str


class AccountSettings(TypedDict, total=False):
    """The settings of a credential, which are not encrypted. ``None`` removes a setting."""

    organization: str | None
    project: str | None
    api_version: str | None
    region: str | None
    location: str | None


class CredentialChanges(TypedDict, total=False):
    """The fields of a credential to change. Omitted fields stay unchanged."""

    name: str
    model_provider: str
    base_url: str | None
    secret: AccountSecret
    reference: str
    settings: AccountSettings
    expires_at: datetime | str | None


class NewCredential(CredentialChanges, total=False):
    """The fields of a new credential: its name, with a provider and secret or with a model."""

    kind: CredentialKind
    from_model: int


class Credential(TypedDict):
    """A credential, as its owner sees it."""

    id: int
    name: str
    model_provider: str
    base_url: str | None
    kind: str
    settings: dict[str, str]
    secrets: list[str]
    headers: list[str]
    reference: str | None
    expires_at: str | None
    created_at: str
    updated_at: str | None
    secret_updated_at: str


class SecretState(TypedDict):
    """Whether a credential's secret can be decrypted, and the names of its parts."""

    is_set: bool
    status: str
    secrets: list[str]
    headers: list[str]
    updated_at: str


class NewModelOfAccount(_Optional):
    """The fields of a model to register. Its credential supplies the provider and API key."""

    model_id: str
    model_name: str
