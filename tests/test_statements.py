"""How many statements each route takes. This fails when a change makes a route slower.

The host app's own look-up of the user isn't included.
"""

import pytest
import sqlalchemy as sa

from flask_model_registry.schemas.limits import MAX_ID
from flask_model_registry.web.views import ROUTES
from tests.hosts import PREFIX, model, register
from tests.roles import BY_NAME, RoleFixture


@pytest.fixture
def statements(host):
    """Collect the statements that reach the database."""
    seen = []
    host.client("first user").get(
        f"{PREFIX}/"
    )  # the first request of a process checks the encryption keys
    with host.app.app_context():
        engine = host.db.engine

    def note(connection, cursor, statement, *_):
        seen.append(" ".join(statement.split()))

    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


def about_models(statements):
    return [each for each in statements if "model_registry" in each]


@pytest.mark.parametrize("number", [0, 30])
def test_a_list_for_openai_takes_one_statement(alice, statements, number):
    register(alice, *(f"m{each}" for each in range(number)))
    statements.clear()

    assert len(alice.get(f"{PREFIX}/v1/models").json["data"]) == number

    assert len(about_models(statements)) == 1


@pytest.mark.parametrize("number", [0, 1, 30])
def test_a_list_takes_one_statement_however_long_it_is(alice, statements, number):
    register(alice, *(f"m{each}" for each in range(number)))
    statements.clear()

    assert len(alice.get(f"{PREFIX}/?limit=100").json) == number

    assert len(about_models(statements)) == 1
    assert len(statements) == 2  # the other one is the host's look-up of the user


@pytest.mark.parametrize("path", ["/{id}", "/by-id/m"])
def test_one_model_takes_one_statement(alice, statements, path):
    (row_id,) = register(alice, "m")
    statements.clear()

    assert alice.get(PREFIX + path.format(id=row_id)).status_code == 200

    assert len(about_models(statements)) == 1


@pytest.mark.parametrize(("path", "number"), [("/1", 1), ("/by-id/m", 2)])
def test_a_name_that_leads_to_no_active_model_takes_one_more_statement(
    alice, bob, statements, path, number
):
    absent = alice.get(PREFIX + path).status_code, len(about_models(statements))
    register(bob, "m")
    statements.clear()
    hidden = alice.get(PREFIX + path).status_code, len(about_models(statements))

    assert absent == hidden == (404, number)


def test_a_summary_takes_a_statement_for_each_table(alice, statements):
    alice.get(f"{PREFIX}/summary")

    assert len(about_models(statements)) == 2  # of models, and of abilities


@pytest.mark.parametrize("groups", [[], ["g"]])
def test_a_summary_reads_grants_to_groups_only_for_a_user_in_groups(hosts, groups):
    host, seen = hosts(groups=lambda user: groups), []
    client = host.client("alice")
    register(client, "m")
    with host.app.app_context():
        sa.event.listen(host.db.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))

    assert client.get(f"{PREFIX}/summary").json["total"] == 1

    assert ["group_name" in each for each in about_models(seen)] == [bool(groups)] * 2


@pytest.mark.parametrize("path", ["/defaults", "/defaults/general"])
def test_defaults_take_one_statement(alice, statements, path):
    (row_id,) = register(alice, "m")
    for config_type in ("general", "compact", "visual"):
        alice.put(f"{PREFIX}/defaults/{config_type}", json={"id": row_id})
    statements.clear()

    assert alice.get(PREFIX + path).status_code == 200
    assert len(about_models(statements)) == 1


# For the owner of a model that is granted to some. A change begins with two: one checks that
# the user can see the model, and one locks its row.
ROUTE_STATEMENTS = {
    ("openapi", "GET"): "",
    ("models", "GET"): "SELECT",
    ("details", "GET"): "SELECT SELECT SELECT",
    ("model_details", "GET"): "SELECT SELECT SELECT",
    ("parameters", "GET"): "SELECT",
    ("parameters", "PUT"): "SELECT SELECT UPDATE",
    ("models", "POST"): "INSERT",
    ("register", "POST"): "INSERT",
    ("summary", "GET"): "SELECT SELECT",
    ("openai_models", "GET"): "SELECT",
    ("openai_model", "GET"): "SELECT",
    ("providers", "GET"): "",
    ("provider_models", "POST"): "",
    ("test_connection", "POST"): "",
    ("test_model", "POST"): "SELECT SELECT UPDATE",  # the last two store the result
    ("model", "GET"): "SELECT",
    ("model", "PATCH"): "SELECT SELECT UPDATE",
    ("model", "PUT"): "SELECT SELECT UPDATE",
    ("model", "DELETE"): "SELECT SELECT SELECT DELETE DELETE DELETE DELETE DELETE",
    ("model_by_handle", "GET"): "SELECT",
    ("model_by_handle", "PATCH"): "SELECT SELECT UPDATE",
    ("model_by_handle", "PUT"): "SELECT SELECT UPDATE",
    ("model_by_handle", "DELETE"): "SELECT SELECT SELECT DELETE DELETE DELETE DELETE DELETE",
    ("credential", "GET"): "SELECT",
    ("credential", "PUT"): "SELECT SELECT UPDATE",
    ("credential", "DELETE"): "SELECT SELECT UPDATE",
    ("account_credentials", "GET"): "SELECT",
    ("account_credentials", "POST"): "INSERT",
    ("account_credential", "GET"): "SELECT",
    ("account_credential", "PATCH"): "SELECT SELECT UPDATE",
    ("account_credential", "DELETE"): "SELECT SELECT SELECT SELECT UPDATE DELETE",
    ("account_secret", "GET"): "SELECT",
    ("account_secret", "PUT"): "SELECT SELECT SELECT UPDATE",
    ("account_secret", "PATCH"): "SELECT SELECT SELECT UPDATE",
    ("account_models", "POST"): "SELECT SELECT SELECT INSERT",
    ("account_test", "POST"): "SELECT",
    ("account_served_models", "POST"): "SELECT",
    ("served_models", "POST"): "SELECT",
    ("grants", "GET"): "SELECT SELECT",
    ("user_grant", "PUT"): "SELECT SELECT SELECT INSERT",
    ("user_grant", "DELETE"): "SELECT SELECT DELETE DELETE DELETE",
    ("group_grant", "PUT"): "SELECT SELECT SELECT INSERT",
    ("group_grant", "DELETE"): "SELECT SELECT DELETE DELETE DELETE",
    ("transfer", "POST"): "SELECT SELECT UPDATE DELETE DELETE DELETE",
    ("defaults", "GET"): "SELECT",
    ("default", "GET"): "SELECT",
    ("default", "PUT"): "SELECT SELECT INSERT",
    ("default", "DELETE"): "DELETE",
}


def kinds_about_models(statements):
    """Return the kinds, except look-ups of users and statements that only SQLite needs."""
    return [
        each.split()[0] for each in statements if "SAVEPOINT" in each or "model_registry" in each
    ]


def test_every_route_is_counted():
    served = {(name, method) for name, (_, views) in ROUTES.items() for method in views}

    assert {*ROUTE_STATEMENTS} == served


ASKING = ("served_models", "account_served_models")  # this calls a provider, and none responds here


@pytest.mark.sampled(24)
@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param(*route, marks=[pytest.mark.forces_errors] * (route[0] in ASKING))
        for route in ROUTE_STATEMENTS
    ],
)
def test_each_route_takes_its_number_of_statements(host, statements, name, method):
    scene = RoleFixture(host, "owner")
    if name == "default" and method != "PUT":
        scene.request("default", "PUT", ref=scene.id)
    statements.clear()

    ref = scene.credential if name.startswith("account_") else scene.id
    response = scene.request(name, method, ref="m/1" if name in BY_NAME else ref)

    if name in ASKING:
        assert response.status_code == 502
    else:
        assert response.status_code < 300 or name == "provider_models", response.text
    assert kinds_about_models(statements) == ROUTE_STATEMENTS[name, method].split()


def test_an_id_that_cannot_be_is_not_looked_up(alice, statements):
    alice.get(f"{PREFIX}/{MAX_ID + 1}")
    alice.get(f"{PREFIX}/by-id/a b")

    assert about_models(statements) == []


def kinds_of(statements):
    kinds = [each.split()[0] for each in statements]
    return [kind for kind in kinds if kind not in {"SELECT", "BEGIN"}]  # SQLite's


def test_register_takes_two_inserts(alice, statements):
    register(alice, "m", abilities=["chat", "vision"])

    assert kinds_of(statements) == ["INSERT", "INSERT"]


def test_a_call_from_python_writes_in_one_savepoint(host, alice, statements):
    with host.app.app_context():
        user = host.load("alice")
        statements.clear()
        host.registry.create(user=user, **model(abilities=["chat", "vision"]))

    assert kinds_of(statements) == ["SAVEPOINT", "INSERT", "INSERT", "RELEASE"]


PAGES_AND_LOOK_UPS = ["/", "/?limit=10&sort=-id", "/?owned=false", "/by-id/m", "/by-id/off", "/1"]


@pytest.mark.sampled(1)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("groups", [0, 1, 50, 100])
def test_no_page_and_no_look_up_reads_a_whole_table(hosts, subtests, groups):
    host = hosts(groups=lambda user: [f"g{number}" for number in range(groups)])
    client, seen = host.client("alice"), []
    (row_id,) = register(client, "off")
    client.patch(f"{PREFIX}/{row_id}", json={"is_active": False})
    with host.app.app_context():
        engine = host.db.engine
        sa.event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2:4]))

    for path in PAGES_AND_LOOK_UPS:
        seen.clear()
        with subtests.test(path):
            client.get(PREFIX + path)
            if path == "/by-id/off":  # a change looks for other models of the name
                client.patch(PREFIX + path, json={})

            selects = [each for each in seen if each[0].startswith("SELECT model_registry")]
            assert len(selects) == {"/by-id/m": 2, "/by-id/off": 5}.get(path, 1)
            for statement, parameters in selects:
                steps = plan(host, statement, parameters)
                assert [step for step in steps if step.startswith("SCAN model_registry")] == []
                assert any(step.startswith("SEARCH model_registry") for step in steps)


def plan(host, statement, parameters):
    """Return the steps that SQLite takes for a statement."""
    with host.app.app_context():
        connection = host.db.session.connection()
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [row.detail for row in rows]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("sort", ["id", "-id"])
def test_a_model_id_is_looked_up_on_each_path_of_a_page(hosts, sort):
    host = hosts(groups=lambda user: ["g", "h"])
    client, seen = host.client("alice"), []
    with host.app.app_context():
        engine = host.db.engine
        sa.event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2:4]))

    client.get(f"{PREFIX}/?model_id=m&limit=10&sort={sort}")

    (page,) = [each for each in seen if each[0].startswith("SELECT model_registry")]
    by_model_id = [each for each in plan(host, *page) if "model_id=?" in each]
    assert len(by_model_id) == 5, by_model_id  # the paths: own, everyone's, the user's, two groups'
