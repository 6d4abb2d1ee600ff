"""The summary counts exactly what the list would show."""

import itertools
from collections import Counter

import pytest

from tests.hosts import PREFIX, granted, register

FILTERS = {
    "model_id": ["a0", "nothing"],
    "category": ["llm", "image"],
    "model_provider": ["openai", "Claude"],
    "ability": ["chat", "vision"],
    "is_active": ["true", "false", "all"],
    "owned": ["true", "false"],
    "q": ["a", "%"],
}


@pytest.fixture
def varied(host, admin, alice, bob):
    """Models of several owners, seen in several ways at once."""
    for number, (client, shared) in enumerate(
        [(admin, True), (admin, False), (alice, False), (bob, False)]
    ):
        a, b, c = register(client, f"a{number}", f"b{number}", f"c{number}", share_with_users=shared,
                           abilities=["chat", "vision"][: number + 1])  # fmt: skip
        (i,) = register(
            client,
            f"i{number}",
            category="image",
            model_provider="anthropic",
            share_with_users=shared,
        )
        client.patch(f"{PREFIX}/{b}", json={"is_active": False})
        if client is not alice:
            granted(client, a, user=host.user("alice"), can_edit=True)
            granted(client, a, group="group of alice")
        granted(client, i, group="group of alice")


def test_the_summary_is_over_the_list(alice, varied):
    queries = [{}]
    for name, values in FILTERS.items():
        queries += [{name: value} for value in values]
    queries += [dict(pair) for pair in itertools.product(*(
        [(name, values[0])] for name, values in FILTERS.items()))]  # fmt: skip
    queries += [{"is_active": "all", "owned": "false", "ability": "chat"}]

    for query in queries:
        listed = alice.get(f"{PREFIX}/", query_string={**query, "limit": 100}).json
        summary = alice.get(f"{PREFIX}/summary", query_string=query)
        assert summary.json == {
            "total": len(listed),
            "by_category": Counter(each["category"] for each in listed),
            "by_provider": Counter(each["model_provider"] for each in listed),
            "by_ability": Counter(itertools.chain(*(each["abilities"] or () for each in listed))),
        }, query


def test_a_summary_counts_no_models_of_strangers(host, alice):
    register(alice, "m", abilities=["chat"])

    nothing = {"total": 0, "by_category": {}, "by_provider": {}, "by_ability": {}}
    assert host.client("stranger").get(f"{PREFIX}/summary").json == nothing


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.parametrize(
    "query", ["limit=5", "sort=id", "after=x", "owned=maybe", "category=x", "api_key=x"]
)
def test_the_summary_takes_the_filters_only(alice, query):
    assert alice.get(f"{PREFIX}/summary?{query}").status_code == 422


def test_the_summary_in_python(host, alice, varied):
    with host.app.app_context():
        user = host.load("alice")
        summary = host.registry.summary(user=user, is_active=None, category="llm")

        limited = host.registry.summary(
            user=user, is_active=None, category="llm", limit=1, after=10**6
        )
        assert limited == summary
        assert summary["total"] == len(
            host.registry.list(user=user, is_active=None, category="llm")
        )
