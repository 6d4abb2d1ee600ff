"""Every route, method, role and form of id, against a table written by hand.

A route that is not in the table fails the test, so a new one cannot be forgotten.
"""

import itertools

import pytest

from flask_model_registry.web.views import ROUTES
from tests.hosts import PREFIX
from tests.roles import BY_NAME, RoleFixture

pytestmark = pytest.mark.databases("sqlite")

# The roles, in the order of the columns below. The "sharer" may share with everyone, and has no
# other relation to the model.
ROLES = ["owner", "reader", "editor", "deleter", "member", "everyone", "stranger", "sharer", "anonymous"]  # fmt: skip

# What each answers for a model that is there. By its integer id or its model_id, whichever the
# route takes; a foreign id (of a model the role cannot see) and an absent one answer 404 to all
# but the anonymous, who always get 401.
#                                        owner read edit dele memb ever stra shar anon
ONE_MODEL = {
    ("model", "GET"):                   "200  200  200  200  200  200  404  404  401",
    ("model", "HEAD"):                  "200  200  200  200  200  200  404  404  401",
    ("model", "PATCH"):                 "200  403  200  403  403  403  404  404  401",
    ("model", "PUT"):                   "200  403  200  403  403  403  404  404  401",
    ("model", "DELETE"):                "204  403  403  204  403  403  404  404  401",
    ("model_by_handle", "GET"):         "200  200  200  200  200  200  404  404  401",
    ("model_by_handle", "HEAD"):        "200  200  200  200  200  200  404  404  401",
    ("model_by_handle", "PATCH"):       "200  403  200  403  403  403  404  404  401",
    ("model_by_handle", "PUT"):         "200  403  200  403  403  403  404  404  401",
    ("model_by_handle", "DELETE"):      "204  403  403  204  403  403  404  404  401",
    ("openai_model", "GET"):            "200  200  200  200  200  200  404  404  401",
    ("openai_model", "HEAD"):           "200  200  200  200  200  200  404  404  401",
    ("credential", "GET"):              "200  200  200  200  200  200  404  404  401",
    ("credential", "HEAD"):             "200  200  200  200  200  200  404  404  401",
    ("credential", "PUT"):              "204  403  204  403  403  403  404  404  401",
    ("credential", "DELETE"):           "204  403  204  403  403  403  404  404  401",
    ("parameters", "GET"):              "200  200  200  200  200  200  404  404  401",
    ("parameters", "HEAD"):             "200  200  200  200  200  200  404  404  401",
    ("parameters", "PUT"):              "200  403  200  403  403  403  404  404  401",
    ("model_details", "GET"):           "200  200  200  200  200  200  404  404  401",
    ("model_details", "HEAD"):          "200  200  200  200  200  200  404  404  401",
    ("grants", "GET"):                  "200  403  403  403  403  403  404  404  401",
    ("grants", "HEAD"):                 "200  403  403  403  403  403  404  404  401",
    ("user_grant", "PUT"):              "201  403  403  403  403  403  404  404  401",
    ("user_grant", "DELETE"):           "204  403  403  403  403  403  404  404  401",
    ("group_grant", "PUT"):             "201  403  403  403  403  403  404  404  401",
    ("group_grant", "DELETE"):          "204  403  403  403  403  403  404  404  401",
    ("transfer", "POST"):               "204  403  403  403  403  403  404  404  401",
    ("default", "PUT"):                 "200  200  200  200  200  200  404  404  401",
    ("test_model", "POST"):             "200  200  200  200  200  200  404  404  401",
    ("served_models", "POST"):          "502  403  502  403  403  403  404  404  401",
}  # fmt: skip
# The same for a credential of the owner's, which no other user is related to.
ONE_CREDENTIAL = {
    (name, method): f"{status}  404  404  404  404  404  404  404  401"
    for name, method, status in (
        ("account_credential", "GET", 200),
        ("account_credential", "HEAD", 200),
        ("account_credential", "PATCH", 200),
        ("account_credential", "DELETE", 204),
        ("account_secret", "GET", 200),
        ("account_secret", "HEAD", 200),
        ("account_secret", "PUT", 204),
        ("account_secret", "PATCH", 204),
        ("account_models", "POST", 201),
        ("account_test", "POST", 200),
        ("account_served_models", "POST", 502),
    )
}
# Routes that name no model: what each user may do on their own account.
NO_MODEL = {
    ("models", "GET"):                  "200  200  200  200  200  200  200  200  401",
    ("models", "HEAD"):                 "200  200  200  200  200  200  200  200  401",
    ("details", "GET"):                 "200  200  200  200  200  200  200  200  401",
    ("details", "HEAD"):                "200  200  200  200  200  200  200  200  401",
    ("models", "POST"):                 "201  201  201  201  201  201  201  201  401",
    ("register", "POST"):               "201  201  201  201  201  201  201  201  401",
    ("openapi", "GET"):                 "200  200  200  200  200  200  200  200  200",
    ("openapi", "HEAD"):                "200  200  200  200  200  200  200  200  200",
    ("summary", "GET"):                 "200  200  200  200  200  200  200  200  401",
    ("summary", "HEAD"):                "200  200  200  200  200  200  200  200  401",
    ("openai_models", "GET"):           "200  200  200  200  200  200  200  200  401",
    ("openai_models", "HEAD"):          "200  200  200  200  200  200  200  200  401",
    ("providers", "GET"):               "200  200  200  200  200  200  200  200  401",
    ("providers", "HEAD"):              "200  200  200  200  200  200  200  200  401",
    ("provider_models", "POST"):        "422  422  422  422  422  422  422  422  401",
    ("test_connection", "POST"):        "200  200  200  200  200  200  200  200  401",
    ("account_credentials", "GET"):     "200  200  200  200  200  200  200  200  401",
    ("account_credentials", "HEAD"):    "200  200  200  200  200  200  200  200  401",
    ("account_credentials", "POST"):    "201  201  201  201  201  201  201  201  401",
    ("defaults", "GET"):                "200  200  200  200  200  200  200  200  401",
    ("defaults", "HEAD"):               "200  200  200  200  200  200  200  200  401",
    ("default", "GET"):                 "404  404  404  404  404  404  404  404  401",
    ("default", "HEAD"):                "404  404  404  404  404  404  404  404  401",
    ("default", "DELETE"):              "404  404  404  404  404  404  404  404  401",
}  # fmt: skip
# What takes the right to share, on top of what the table above says.
SHARING = {
    ("models", "POST", "share"):        "403  403  403  403  403  403  403  201  401",
    ("register", "POST", "share"):      "403  403  403  403  403  403  403  201  401",
    ("model", "PATCH", "share"):        "403  403  403  403  403  403  404  404  401",
    ("model_by_handle", "PATCH", "share"): "403  403  403  403  403  403  404  404  401",
    ("default", "PUT", "app"):          "403  403  403  403  403  403  403  404  401",
    ("default", "DELETE", "app"):       "403  403  403  403  403  403  403  404  401",
}  # fmt: skip


FIXED = {"GET", "HEAD"}, {"account_test", "test_connection"}  # methods, and routes


def changes(name, method, status):
    """Return whether a request that gets this status changes what is stored."""
    return status < 300 and method not in FIXED[0] and name not in FIXED[1]


def one_model(scene, name, method, status):
    forms = ("m/1", "foreign", "absent") if name in BY_NAME else (
        scene.id, scene.foreign, 2_000_000_000)  # fmt: skip
    by_every_form(scene, name, method, status, forms)


def one_credential(scene, name, method, status):
    forms = (scene.credential, scene.foreign_credential, 2_000_000_000)
    by_every_form(scene, name, method, status, forms)


def by_every_form(scene, name, method, status, forms):
    before, unseen = scene.content(), 401 if scene.role == "anonymous" else 404

    foreign, absent = (scene.request(name, method, ref=ref) for ref in forms[1:])
    assert (foreign.status_code, absent.status_code) == (unseen, unseen)
    assert foreign.data == absent.data
    assert str(foreign.headers) == str(absent.headers)
    assert scene.content() == before

    response = scene.request(name, method, ref=forms[0])
    assert response.status_code == status, response.text
    assert (scene.content() != before) is changes(name, method, status)


def no_model(scene, name, method, status):
    before = scene.content()

    response = scene.request(name, method, ref=None)

    assert response.status_code == status, response.text
    assert (scene.content() != before) is changes(name, method, status)


def sharing(scene, name, method, variant, status):
    before, ref = scene.content(), "m/1" if name == "model_by_handle" else scene.id

    response = scene.request(name, method, ref=ref, variant=variant)

    assert response.status_code == status, response.text
    assert (scene.content() != before) is changes(name, method, status)


# How a line of each table is tried.
TABLES = ((ONE_MODEL, one_model), (ONE_CREDENTIAL, one_credential), (NO_MODEL, no_model), (SHARING, sharing))  # fmt: skip
CASES = [
    (check, key, role, int(status))
    for table, check in TABLES
    for key, line in table.items()
    for role, status in zip(ROLES, line.split(), strict=True)
]


def is_alone(key, status):
    """Return whether a case needs a fixture to itself: the next would find what it changed."""
    return changes(*key[:2], status) or status == 502


def test_every_route_is_in_the_table():
    served = {
        (name, method)
        for name, (_, views) in ROUTES.items()
        for method in [*views, *(["HEAD"] if "GET" in views else [])]
    }

    assert served == {*ONE_MODEL, *ONE_CREDENTIAL, *NO_MODEL}
    assert {(name, method) for name, method, _ in SHARING} <= served


@pytest.mark.sampled(23)
@pytest.mark.parametrize(
    ("check", "key", "role", "status"),
    [
        pytest.param(
            *case,
            id=f"{'-'.join(case[1])}-{case[2]}",
            marks=[pytest.mark.forces_errors] * (case[3] == 502),  # no provider answers here
        )
        for case in CASES
        if is_alone(case[1], case[3])
    ],
)
def test_a_role_changes_what_the_table_says(host, check, key, role, status):
    check(RoleFixture(host, role), *key, status)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_what_the_table_says_and_is_refused_the_rest(host, subtests, role):
    scene, before = RoleFixture(host, role), None
    for check, key, _, status in [each for each in CASES if each[2] == role]:
        if not is_alone(key, status):
            before = before or scene.content()
            with subtests.test("-".join(key)):
                check(scene, *key, status)

    assert before
    assert scene.content() == before


@pytest.mark.parametrize("role", ROLES[:-1])
def test_a_list_shows_what_one_can_be_read(host, role):
    scene = RoleFixture(host, role)

    listed = {each["id"] for each in scene.client.get(f"{PREFIX}/").json}
    detailed = {each["model"]["id"] for each in scene.client.get(f"{PREFIX}/details").json}
    counted = scene.client.get(f"{PREFIX}/summary").json["total"]

    by_id = {
        ref
        for ref in (scene.id, scene.foreign)
        if scene.request("model", "GET", ref=ref).status_code == 200
    }
    handles = {ref for ref, name in ((scene.id, "m/1"), (scene.foreign, "foreign"))
               if scene.request("model_by_handle", "GET", ref=name).status_code == 200}  # fmt: skip
    assert listed == detailed == by_id == handles
    assert counted == len(listed)
    expected = (
        200 if role in {"owner", "reader", "editor", "deleter", "member", "everyone"} else 404
    )
    assert by_id == ({scene.id} if expected == 200 else set())


def test_the_roles_are_those_of_the_table():
    lines = itertools.chain(
        *(each.values() for each in (ONE_MODEL, ONE_CREDENTIAL, NO_MODEL, SHARING))
    )

    assert {len(line.split()) for line in lines} == {len(ROLES)}
