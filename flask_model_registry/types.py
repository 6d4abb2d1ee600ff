"""What calls from Python take and give, for type checkers; the library itself never loads it."""

from __future__ import annotations

from typing import Literal, TypedDict

Category = Literal["llm", "embedding", "image", "speech", "rerank"]
ConfigType = Literal[
    "general", "small_fast", "visual", "compact", "embedding", "image", "image_edit", "asr", "tts",
    "rerank",
]  # fmt: skip
Scope = Literal["user", "app"]


class ModelRepresentation(TypedDict):
    """A model, as the user who asks sees it."""

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
    """The fields of a model to change; what is not given stays."""

    model_id: str
    model_provider: str
    model_name: str
    api_key: str | None
    is_active: bool


class CountFilters(TypedDict, total=False):
    """Which models to count; ``None`` means that it does not matter."""

    category: Category | None
    model_provider: str | None
    ability: str | None
    is_active: bool | None
    owned: bool | None
    q: str | None


class ListFilters(CountFilters, total=False):
    """Which models to list, and where to begin and to end."""

    descending: bool
    after: int | None
    limit: int | None


class Summary(TypedDict):
    """How many models there are."""

    total: int
    by_category: dict[str, int]
    by_provider: dict[str, int]
    by_ability: dict[str, int]


class UserGrant(TypedDict):
    """What a user was granted; ``user`` is the primary key as a string."""

    user: str
    can_edit: bool
    can_delete: bool


class GroupGrant(TypedDict):
    """What a group was granted."""

    group: str
    can_edit: bool
    can_delete: bool


class Grants(TypedDict):
    """Whom a model is granted to."""

    users: list[UserGrant]
    groups: list[GroupGrant]
