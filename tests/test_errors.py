"""One format for every error under the prefix, and the host's own error pages unchanged."""

import inspect
import pickle

import pytest
import sqlalchemy as sa
from flask import Blueprint, Flask, abort, redirect
from werkzeug.exceptions import HTTPException
from werkzeug.local import LocalProxy

from flask_model_registry import RegistryError, errors, problem_response
from flask_model_registry.services.models import ModelService
from tests.hosts import PREFIX, create_app, declare, model, register

ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def test_a_problem_has_the_members_of_rfc_9457(alice):
    response = alice.get(f"{PREFIX}/1")

    assert response.mimetype == "application/problem+json"
    assert response.json == {
        "type": "urn:problem-type:model-registry:not-found",
        "title": "Not found",
        "status": 404,
        "detail": "Not found",
    }


@pytest.mark.databases("sqlite")  # headers know no database
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 200), ("POST", "/register", 415), ("GET", "/1", 404), ("PUT", "/register", 405),
     ("GET", "/nowhere/at/all", 404), ("OPTIONS", "/", 204)],
)  # fmt: skip
def test_every_answer_is_kept_out_of_caches_and_sniffing(alice, method, path, status):
    response = alice.open(PREFIX + path, method=method)

    assert response.status_code == status
    assert ALWAYS.items() <= dict(response.headers).items()


def test_a_method_that_is_not_allowed_names_those_that_are(alice):
    response = alice.put(f"{PREFIX}/")

    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, POST, HEAD, OPTIONS"
    assert response.json["status"] == 405


def test_head_is_get_without_a_body(alice):
    alice.post(f"{PREFIX}/register", json=model())

    response = alice.head(f"{PREFIX}/")

    assert (response.status_code, response.data) == (200, b"")


def every_code(error):
    subclasses = error.__subclasses__()
    return [error.code] + [code for each in subclasses for code in every_code(each)]


def test_every_error_has_a_code_of_its_own():
    codes = every_code(RegistryError)

    assert len(codes) == len(set(codes))


def kinds_of(error):
    return [error, *(kind for each in error.__subclasses__() for kind in kinds_of(each))]


@pytest.mark.parametrize("kind", kinds_of(RegistryError))
def test_errors_survive_pickling(kind):
    arguments = {errors.ValidationError: [[("a", "b")]], errors.MethodNotAllowedError: [["GET"]]}
    error = kind(*arguments.get(kind, ["what happened"]))

    again = pickle.loads(pickle.dumps(error))

    assert type(again) is kind
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_the_messages_of_a_validation_error_are_in_its_text():
    error = errors.ValidationError([("model_id", "Must be a string."), ("", "Unknown field.")])

    assert str(error) == "model_id: Must be a string. Unknown field."


def host_with_pages(url):
    """A host that has its own pages for everything that can go wrong."""
    host = create_app(declare(), url)
    app = host.app

    @app.errorhandler(404)
    def not_found(error):
        return "the host's 404", 404

    @app.errorhandler(405)
    def not_allowed(error):
        return "the host's 405", 405

    @app.errorhandler(RegistryError)
    def registry_error(error):
        return "the host's page for ours", 418

    @app.errorhandler(Exception)
    def anything(error):
        return "the host's 500", 500

    @app.get("/page")
    def page():
        return "the host's page"

    @app.get("/fails")
    def fails():
        raise ValueError

    @app.get(f"{PREFIX}/of/the/host")
    def within():
        return "the host's page within"

    return host


@pytest.fixture
def proud(tmp_path):
    host = host_with_pages(f"sqlite:///{tmp_path / 'proud.sqlite'}")
    with host.app.app_context():
        host.db.create_all()
    yield host
    host.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/page", 200, "the host's page"),
        ("GET", "/missing", 404, "the host's 404"),
        ("POST", "/page", 405, "the host's 405"),
        ("GET", "/fails", 500, "the host's 500"),
        ("GET", "/api/other", 404, "the host's 404"),
        ("GET", "/api/modelsx", 404, "the host's 404"),
        ("GET", f"{PREFIX}/of/the/host", 200, "the host's page within"),
    ],
)
def test_the_hosts_pages_are_its_own(proud, method, path, status, text):
    response = proud.client().open(path, method=method)

    assert (response.status_code, response.text) == (status, text)
    assert "Cache-Control" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "", 401), ("GET", "/1", 404), ("GET", "/no/where", 404), ("PUT", "/register", 405),
     ("POST", "/register", 415)],
)  # fmt: skip
def test_the_hosts_handlers_do_not_see_our_errors(proud, method, path, status):
    client = proud.client(None if status == 401 else "alice")

    response = client.open(PREFIX + path, method=method)

    assert response.status_code == status
    assert response.mimetype == "application/problem+json"


def test_a_bug_of_ours_goes_to_the_hosts_handler(proud, monkeypatch):
    monkeypatch.setattr(ModelService, "page", lambda *_: 1 / 0)

    response = proud.client("alice").get(f"{PREFIX}/")

    assert (response.status_code, response.text) == (500, "the host's 500")


@pytest.mark.forces_errors
def test_a_bug_of_ours_is_a_problem_if_the_host_has_no_handler(host, alice, monkeypatch):
    monkeypatch.setattr(ModelService, "page", lambda *_: 1 / 0)

    response = alice.get(f"{PREFIX}/")

    assert response.status_code == 500
    assert response.json["type"] == "about:blank"
    assert response.json["title"] == "Internal Server Error"


@pytest.mark.databases("sqlite")
def test_the_hosts_abort_under_our_prefix_has_our_format(hosts):
    host = hosts()
    host.app.before_request(lambda: abort(429, "Not so fast."))

    response = host.client().get(f"{PREFIX}/")

    assert response.json == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Not so fast.",
    }


@pytest.mark.databases("sqlite")
def test_a_description_of_any_type_becomes_text(hosts):
    host = hosts()
    host.app.before_request(lambda: abort(403, LocalProxy(lambda: "lazily translated")))

    assert host.client().get(f"{PREFIX}/").json["detail"] == "lazily translated"


@pytest.mark.databases("sqlite")
def test_an_error_without_a_description_has_no_detail(hosts):
    class PaymentRequired(HTTPException):
        code = 402

    host = hosts()

    @host.app.before_request
    def refuse():
        raise PaymentRequired

    response = host.client().get(f"{PREFIX}/")

    assert response.json == {"type": "about:blank", "title": "Payment Required", "status": 402}


@pytest.mark.databases("sqlite")
def test_a_redirect_of_the_host_stays_one(hosts):
    host = hosts()
    host.app.before_request(lambda: abort(redirect("/login")))

    assert host.client().get(f"{PREFIX}/").location == "/login"


@pytest.mark.databases("sqlite")
@pytest.mark.forces_errors
def test_an_exception_that_is_not_an_error_is_unchanged(hosts):
    class SeeOther(HTTPException):
        code = 303

    host = hosts()

    @host.app.before_request
    def lead_away():
        raise SeeOther

    assert host.client().get(f"{PREFIX}/").status_code == 303


@pytest.mark.databases("sqlite")
@pytest.mark.forces_errors
def test_a_response_that_the_host_aborts_with_stays_as_it_is(hosts):
    host = hosts()
    host.app.before_request(lambda: abort(host.app.response_class("gone fishing", 503)))

    assert host.client().get(f"{PREFIX}/").text == "gone fishing"


@pytest.mark.forces_errors
def test_a_drivers_failing_socket_is_unavailable(host, alice, monkeypatch):
    """pg8000 raises the OSError of its socket, which SQLAlchemy then lets through."""

    def fail(self, cursor, statement, parameters, context=None):
        raise TimeoutError("timed out")

    with host.app.app_context():
        monkeypatch.setattr(type(host.db.engine.dialect), "do_execute", fail)

    response = alice.get(f"{PREFIX}/")

    assert (response.status_code, "Retry-After" in response.headers) == (503, True)


@pytest.mark.forces_errors
def test_a_statement_that_is_wrong_is_not_called_unavailable(host, alice, monkeypatch):
    def fail(*_):
        raise sa.exc.ProgrammingError("SELECT", {}, Exception("syntax"))

    monkeypatch.setattr(ModelService, "page", fail)

    assert alice.get(f"{PREFIX}/").status_code == 500


def test_the_registry_mounts_under_a_blueprint_of_the_host(database):
    declared = declare()
    db, jwt, User, registry, _ = declared
    app = Flask("nested")
    app.config.update(create_app(declare(), database.url).app.config)
    api = Blueprint("api", __name__, url_prefix="/v2")
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app, parent=api)
    app.register_blueprint(api)

    client = app.test_client()

    assert client.get(f"/v2{PREFIX}/").status_code == 401
    assert client.get(f"/v2{PREFIX}/a/b/c").mimetype == "application/problem+json"
    assert client.get(f"{PREFIX}/").status_code == 404


@pytest.mark.forces_errors
def test_missing_tables_are_an_error_that_names_the_fix(empty_databases, caplog):
    host = create_app(declare(), empty_databases().url)
    with host.app.app_context():
        host.User.__table__.create(host.db.engine)

    response = host.client("alice").get(f"{PREFIX}/")

    assert response.status_code == 500
    assert "run db.create_all() or 'flask db upgrade'" in caplog.text
    host.close()


@pytest.mark.forces_errors
def test_a_missing_column_is_not_an_outage(host, alice, caplog):
    """For example, after an upgrade of the package without a migration."""
    alter = "ALTER TABLE model_registry_models RENAME COLUMN {} TO {}"
    for names in (("description", "d"), ("d", "description")):
        host.execute(sa.text(alter.format(*names)))
        responses = [alice.get(f"{PREFIX}/"), alice.post(f"{PREFIX}/register", json=model())]
        expected = [500, 500] if names[1] == "d" else [200, 201]
        assert [each.status_code for each in responses] == expected

    assert "of another version; run db.create_all() or 'flask db upgrade'" in caplog.text


@pytest.mark.forces_errors
def test_a_table_that_is_missing_in_the_hosts_own_code_is_the_hosts_error(hosts):
    asked = []

    def groups(user):
        asked.append(user)
        host.db.session.execute(sa.text("SELECT name FROM team_members"))

    host = hosts(groups=groups, config={"PROPAGATE_EXCEPTIONS": True})

    with pytest.raises(sa.exc.DBAPIError, match="team_members"):
        host.client("alice").get(f"{PREFIX}/")
    assert len(asked) == 1


def test_views_are_functions_with_names(host):
    views = {
        name: view
        for name, view in host.app.view_functions.items()
        if name.startswith("model_registry.")
    }

    assert all(inspect.isroutine(view) for view in views.values())
    assert len({view.__name__ for view in views.values()}) == len(views)


@pytest.fixture
def views(hosts):
    """A host with a view that resolves models, and the library's handler for its errors."""
    host = hosts()
    host.app.register_error_handler(RegistryError, problem_response)
    host.app.add_url_rule("/resolve/<ref>", "resolve", lambda ref: vars(host.registry.resolve(ref)))
    return host


@pytest.mark.databases("sqlite")
def test_errors_in_a_view_of_the_hosts_are_answered_as_under_the_prefix(views):
    alice, visitor = views.client("alice"), views.client()
    missing = alice.get("/resolve/nothing"), alice.get(f"{PREFIX}/by-id/nothing")
    refused = visitor.get("/resolve/nothing"), visitor.get(f"{PREFIX}/by-id/nothing")

    for theirs, ours in (missing, refused):
        assert (theirs.status_code, theirs.mimetype) == (ours.status_code, ours.mimetype)
        assert theirs.json == ours.json
        assert ALWAYS.items() <= dict(theirs.headers).items()
    assert (missing[0].status_code, refused[0].status_code) == (404, 401)
    assert refused[0].headers["WWW-Authenticate"] == refused[1].headers["WWW-Authenticate"]


def test_an_errors_text_for_operators_is_in_no_response_of_the_handler(views, caplog):
    alice, models = views.client("alice"), views.registry.tables.models
    register(alice, "m")
    views.execute(models.update().values(key_id="k#0"))
    said = "the KMS at 10.0.0.7 is away"

    unreadable = alice.get("/resolve/m")
    with views.app.test_request_context():
        away = problem_response(errors.UnavailableError(said))

    assert unreadable.status_code == 409
    assert unreadable.json["detail"] == "The model has no readable API key. Enter one."
    assert (away.status_code, away.headers["Retry-After"]) == (503, "1")
    assert said not in away.get_data(as_text=True) + caplog.text
    assert "model registry: unavailable: UnavailableError" in caplog.messages
