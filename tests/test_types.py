"""The types for type checkers match the checks at run time."""

import dataclasses
import subprocess
import sys
from typing import get_args, get_type_hints, is_typeddict

import pytest

from flask_model_registry import Filters, types
from flask_model_registry.db.representation import PUBLIC_FIELDS
from flask_model_registry.schemas import details, requests, responses
from flask_model_registry.schemas.categories import CATEGORIES, CONFIG_TYPES
from tests.doc_runner import ROOT

SCHEMAS = {
    types.ModelRepresentation: responses.ModelRepresentation(),
    types.Summary: responses.Summary(),
    types.UserGrant: responses.UserGrant(),
    types.GroupGrant: responses.GroupGrant(),
    types.Grants: responses.Grants(),
    types.Parameters: details.Parameters(),
    types.ModelDetails: details.ModelDetails(),
    types.KeyDetails: details.KeyDetails(),
    types.UsedCredential: details.UsedCredential(),
    types.LastTest: details.LastTest(),
    types.GrantCounts: details.GrantCounts(),
    types.NewModel: requests.NewModel(),
    types.ModelChanges: requests.ModelUpdate(partial=True),
}


def nullable(hints):
    return {name for name, hint in hints.items() if type(None) in get_args(hint)}


def test_the_literals_are_the_accepted_values():
    (scopes,) = requests.Scope().fields["scope"].validators

    assert get_args(types.Category) == CATEGORIES
    assert get_args(types.ConfigType) == (*CONFIG_TYPES,)
    assert get_args(types.Scope) == (*scopes.choices,)
    (relations,) = details.ModelDetails().fields["relations"].inner.validators
    assert get_args(types.Relation) == (*relations.choices,)


def test_a_representation_has_the_published_fields():
    assert (*types.ModelRepresentation.__annotations__,) == PUBLIC_FIELDS


@pytest.mark.parametrize("typed", SCHEMAS, ids=lambda each: each.__name__)
def test_each_dict_has_the_fields_of_its_schema(typed):
    hints, fields = get_type_hints(typed), SCHEMAS[typed].fields

    assert {*hints} == {*fields}
    assert nullable(hints) == {name for name, each in fields.items() if each.allow_none}
    if typed is not types.ModelChanges:
        assert typed.__required_keys__ == {name for name, each in fields.items() if each.required}


def test_a_change_requires_nothing():
    assert types.ModelChanges.__required_keys__ == frozenset()


def test_the_types_of_filters_match_the_filters():
    declared = {each.name: each for each in dataclasses.fields(Filters)}
    hints = get_type_hints(types.ListFilters)

    assert {*hints} == {*declared}
    assert nullable(hints) == {name for name, each in declared.items() if "None" in each.type}
    assert {*declared} - {*types.CountFilters.__annotations__} == {
        "sort",
        "descending",
        "after",
        "after_value",
        "limit",
    }
    assert types.ListFilters.__required_keys__ == frozenset()


def test_all_of_them_are_documented():
    documented = (ROOT / "docs" / "python.md").read_text()
    public = [
        name
        for name, each in vars(types).items()
        if name[0] != "_" and (is_typeddict(each) or get_args(each))
    ]

    assert len(public) == 30
    assert [name for name in public if f"`{name}`" not in documented] == []


def test_an_import_does_not_load_them():
    code = "import sys, flask_model_registry; sys.exit('flask_model_registry.types' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
