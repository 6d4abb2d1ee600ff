"""The tests that hosts run pass on good hosts, and each fails on a host with its leak."""

import base64
import contextlib
import html
import json
import logging
import re
import sqlite3
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import quote_plus

import pytest
import sqlalchemy as sa

from flask_model_registry.cli import new_key
from flask_model_registry.testing import ModelRegistryConformance
from flask_model_registry.testing.canary import Canary, captured_output
from flask_model_registry.testing.host import Host as UnderTest
from tests.doc_runner import ROOT, blocks
from tests.hosts import KINDS, create_app, declare

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

HOSTS = {
    path.stem: path.read_text() for path in (Path(__file__).parent / "conformance").glob("[!_]*.py")
}
CONFTEST = """
import app as host, pytest

@pytest.fixture
def model_registry_app():
    app = host.create_app()
    with app.app_context():
        host.create_tables()
        host.fill()
        yield app
        host.db.session.remove()
        host.db.engine.dispose()

@pytest.fixture
def model_registry_users(model_registry_app):
    yield from host.users(model_registry_app)
"""
CLASS = """
from flask_model_registry.cli import new_key
from flask_model_registry.testing import ModelRegistryConformance
import app

class TestModelRegistry(ModelRegistryConformance):
    url_values = getattr(app, "URL_VALUES", {})
"""
# Each of the tests; some run twice.
ALL = {name for name in vars(ModelRegistryConformance) if name.startswith("test_")}


class Modules:
    """Keeps the modules that a run within this process has imported, except the host's

    own files. Otherwise the next test of pytester would import them again, which not every module
    survives.
    """

    def __init__(self):
        self._imported = {}

    def pytest_unconfigure(self):
        files = {"app", "conftest", "test_model_registry"}
        self._imported |= {name: sys.modules[name] for name in {*sys.modules} - files}

    def restore(self):
        for name, module in self._imported.items():
            sys.modules.setdefault(name, module)


@pytest.fixture
def modules():
    """Keep modules, until after the end of pytester if that is asked for later."""
    modules = Modules()
    yield modules
    modules.restore()


@pytest.fixture
def run(modules, pytester, monkeypatch):
    """Run the tests of a host; return the names of those that failed, and the output."""
    # Other plugins take longer to load than the tests to run.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    options = ["-p", "no:cacheprovider", "-W", "error"]

    def run(app, conftest=CONFTEST, tests=CLASS, *, least=10, only=()):
        pytester.makepyfile(app=app, conftest=conftest, test_model_registry=tests)
        selected = ["-k", " or ".join(only)] if only else []
        result = pytester.runpytest_inprocess(*options, *selected, plugins=[modules])
        modules.restore()
        failures = {
            report.nodeid.split("::")[-1].split("[")[0] for report in result.reprec.getfailures()
        }
        counts = result.parseoutcomes()
        assert sum(counts.get(each, 0) for each in ("passed", "failed", "errors")) >= least
        assert bool(failures) is (result.ret != 0)
        return failures, result.stdout.str()

    return run


def leaking(host, leak):
    """Return the source of a host with more code in its app."""
    return f"{HOSTS[host]}\n\nwell = create_app\n\n\ndef create_app():\n    app = well()\n{leak}\n    return app\n"


@pytest.mark.parametrize("host", HOSTS)
def test_a_good_host_passes(run, host):
    failures, output = run(HOSTS[host])

    assert failures == set(), output


LETS_IN, TWO = "test_no_route_answers_without_a_token", "test_the_two_users_are_two"
ABSENT, LISTS = (
    "test_a_model_of_another_user_looks_like_a_missing_one",
    "test_a_model_of_another_user_is_in_no_list",
)
ANSWERS, LOGS = "test_no_answer_holds_an_api_key", "test_no_log_holds_an_api_key"
TABLES, STORED = "test_the_tables_are_migrated", "test_every_stored_api_key_opens"
ITSELF, CLEAR = (
    "test_a_registered_api_key_opens_as_itself",
    "test_no_api_key_is_stored_in_the_clear",
)
ECHO = """
    from flask import json, request

    @app.after_request
    def echo(response):
        {}
        return response
"""
HEAR = """
    from flask import request

    @app.before_request
    def hear():
        {}
"""
LISTEN = """
    with app.app_context():
        engine = db.engine

    @db.event.listens_for(engine, "before_cursor_execute", retval=True)
    def execute(connection, cursor, statement, parameters, context, many):
        return {}, parameters

"""
# For each leak: the kind of host, its app's additional code, the tests that fail, their message.
LEAKS = {
    "a loader that lets anyone in": (
        "tokens",
        """
    from flask_model_registry import AuthenticationError
    load = registry._users.load_user

    def anyone():
        try:
            return load()
        except AuthenticationError:
            return db.session.get(User, 1)

    registry._users.load_user = anyone
""",
        {LETS_IN},
        "GET /api/models/ with no token returned 200",
    ),
    "a hook that answers before": (
        "tokens",
        HEAR.format("return 'all of it' if request.path.endswith('/summary') else None"),
        {LETS_IN},
        "GET /api/models/summary with no token returned 200: 'all of it'",
    ),
    "a loader that finds the same user for all": (
        "tokens",
        "    jwt.user_lookup_loader(lambda header, claims: db.session.get(User, 1))",
        {TWO, ABSENT, LISTS},
        "Both of model_registry_users are the user with the primary key '1'",
    ),
    "a filter that goes missing": (
        "tokens",
        LISTEN.format("statement.replace('owner_id = ?', 'owner_id >= 0 * ?')"),
        {ABSENT, LISTS},
        "the second user can tell a model of the first user from a missing one:",
    ),
    "a header that tells what there is": (
        "sessions",
        ECHO.format(
            "count = db.session.scalar(sa.text('SELECT count(*) FROM model_registry_models"
            " WHERE id = :id'), {'id': (request.view_args or {}).get('id')})\n"
            "        response.headers['X-Rows'] = count"
        ),
        {ABSENT},
        ": the header X-Rows",
    ),
    "a count of all": (
        "tokens",
        ECHO.format(
            "if request.path == '/api/models/summary':\n"
            "            count = db.session.query(registry.tables.models).count()\n"
            "            response.set_data(json.dumps({**response.json, 'of_all': count}))"
        ),
        {LISTS},
        "GET /api/models/summary\n",
    ),
    "an echo in a header": (
        "tokens",
        ECHO.format("response.headers['X-Body'] = request.get_data()[-4000:].hex()"),
        {ANSWERS},
        "POST /api/models/register, status 409, in the headers",
    ),
    "an echo in a body": (
        "sessions",
        ECHO.format(
            "if response.status_code == 422:\n"
            "            response.set_data(json.dumps({'you_sent': request.get_json()}))"
        ),
        {ANSWERS},
        "POST /v3/ai-models/register, status 422, in the body",
    ),
    "an echo of eight characters": (
        "tokens",
        ECHO.format(
            "if request.method == 'PUT' and b'api_key' in request.get_data():\n"
            "            response.headers['X-Key'] = request.json['api_key'][-9:-1]"
        ),
        {ANSWERS},
        "/credential, status 204, in the headers",
    ),
    "a session cookie with the last request": (
        "sessions",
        ECHO.format("import flask; flask.session['last'] = request.get_data(as_text=True)[:200]"),
        {ANSWERS},
        "in the headers",
    ),
    "a log line": (
        "tokens",
        HEAR.format("app.logger.info('body: %s', request.get_data())"),
        {LOGS},
        "a record of the logger 'tokens' at level INFO",
    ),
    "an extra field of a log record": (
        "tokens",
        HEAR.format("app.logger.debug('a request', extra={'body': request.get_data()})"),
        {LOGS},
        "a record of the logger 'tokens' at level DEBUG",
    ),
    "a log that the root does not hear": (
        "tokens",
        "    import logging\n    own = logging.getLogger('own')\n    own.propagate = False\n"
        "    own.setLevel('DEBUG')\n" + HEAR.format("own.warning('%r', request.get_data())"),
        {LOGS},
        "a record of the logger 'own' at level WARNING",
    ),
    "a print": (
        "sessions",
        HEAR.format("print(request.get_data())"),
        {LOGS},
        "standard output",
    ),
    "a secret box that seals nothing": (
        "tenants",
        "    Box.seal = lambda self, plaintext, context: base64.b64encode(plaintext.encode())\n"
        "    Box.open = lambda self, blob, context: base64.b64decode(blob).decode()",
        {CLEAR},
        "The database holds an API key in the clear",
    ),
    "a secret box that opens something else": (
        "tenants",
        "    Box.open = lambda self, blob, context: 'sk-another'",
        {ITSELF},
        "is not the one that resolve() returns",
    ),
    "an encryption key that is gone": (
        "tokens",
        """
    with app.app_context():
        db.create_all()
        fill()
        db.engine.dispose()
    from dataclasses import replace
    later = Flask("later")
    later.config.update(
        app.config,
        MODEL_REGISTRY_ENCRYPTION_KEYS="after:" + b64encode(bytes(range(9, 41))).decode(),
        MODEL_REGISTRY_KEY_CHECK="warning",
    )
    for extension in (db, jwt, registry):
        extension.init_app(later)
    app = later
""",
        {STORED},
        "model 1 'gpt-4o': The stored API key is encrypted with the encryption key 'before#",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_each_leak_is_found_by_its_test(run, name):
    host, leak, failing, message = LEAKS[name]

    failures, output = run(leaking(host, leak), least=1, only=failing)

    assert failures == failing, output
    assert message in output


@pytest.mark.parametrize("test", sorted(ALL - {TABLES}))
def test_each_test_is_seen_to_fail(test):
    assert any(test in failing for _, _, failing, _ in LEAKS.values())


# The missing parts: the table, the kind of part, and its name without prefix.
MISSING = {
    "table model_registry_app_defaults": ("app_defaults", "tables", ""),
    "column description of model_registry_models": ("models", "columns", "description"),
    "index model_registry_ix_grants_model (model_row_id) of model_registry_grants": (
        "grants", "indexes", "ix_grants_model",
    ),
    "unique constraint model_registry_uq_grants_user_model (user_id, model_row_id)"
    " of model_registry_grants": ("grants", "constraints", "uq_grants_user_model"),
    "foreign key model_registry_fk_models_owner (owner_id to user.id, ON DELETE CASCADE)"
    " of model_registry_models": ("models", "constraints", "fk_models_owner"),
    "foreign key model_registry_fk_models_credential (credential_id to"
    " model_registry_credentials.id, ON DELETE SET NULL)"
    " of model_registry_models": ("models", "constraints", "fk_models_credential"),
}  # fmt: skip


@pytest.fixture
def incomplete(empty_databases):
    """Make a host whose tables lack something."""
    made = []

    def make(table, kind, name):
        host = create_app(declare(), empty_databases().url)
        made.append(host)
        table = getattr(host.registry.tables, table)
        items = getattr(table, kind, set()) if kind != "columns" else set()
        lost = [item for item in items if item.name == f"model_registry_{name}"]
        for item in lost:
            items.discard(item)
        with host.app.app_context():
            host.db.create_all()
        for item in lost:
            items.add(item)
        if kind == "columns":
            host.execute(sa.text(f"ALTER TABLE {table.name} DROP COLUMN {name}"))
        if kind == "tables":
            host.execute(sa.text(f"DROP TABLE {table.name}"))
        return host

    yield make
    for host in made:
        host.close()


def check_tables(app):
    ModelRegistryConformance().test_the_tables_are_migrated(UnderTest.of(app, {}))


@pytest.mark.parametrize("missing", MISSING)
def test_missing_parts_of_the_tables_are_named_with_the_fix(incomplete, missing, database):
    host = incomplete(*MISSING[missing])
    if database.name == "sqlite":
        missing = missing.replace("CASCADE", "NO ACTION").replace("SET NULL", "NO ACTION")

    with pytest.raises(pytest.fail.Exception) as caught:
        check_tables(host.app)

    first, *others = str(caught.value).splitlines()
    assert others == [f"  {missing}"]
    assert "run 'flask db migrate' and 'flask db upgrade'" in first


def test_missing_tables_are_reported_as_such(empty_databases):
    host = create_app(declare(), empty_databases().url)

    with pytest.raises(
        pytest.fail.Exception, match=r"tables are missing or .*; run db.create_all\(\)"
    ):
        check_tables(host.app)

    host.close()


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_host_lacks_parts_of_the_tables(hosts, kind):
    check_tables(hosts(kind).app)


def test_an_index_that_is_missing_fails_the_test_of_the_tables_alone(run):
    leak = """
    with app.app_context():
        db.create_all()
        db.session.execute(db.text("DROP INDEX IF EXISTS model_registry_ix_grants_model"))
        db.session.commit()
        db.engine.dispose()
    globals()["create_tables"] = lambda: None
"""

    failures, output = run(leaking("tokens", leak))

    assert failures == {TABLES}, output


def rows(path):
    """Return everything in the tables of a database."""
    connection = sqlite3.connect(path)
    names = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    ]
    content = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    connection.close()
    return {name: rows for name, rows in content.items() if name != "sqlite_sequence"}


@pytest.mark.parametrize("leak", [None, "a loader that lets anyone in", "a filter that goes missing",
                                  "an echo in a header", "a loader that finds the same user for all"])  # fmt: skip
def test_the_database_is_left_as_it_was(run, pytester, leak):
    source = HOSTS["tokens"] if leak is None else leaking(*LEAKS[leak][:2])
    run(source, tests="def test_nothing(model_registry_users): pass", least=1)
    before = rows(pytester.path / "host.sqlite")

    failures, _ = run(source)

    assert bool(failures) is bool(leak)
    assert rows(pytester.path / "host.sqlite") == before
    assert len(before["model_registry_models"]) == 2


def test_receivers_of_signals_are_called_for_the_removal(run):
    leak = """
    from flask_model_registry import signals
    counts = app.config["COUNTS"] = {}

    def count(sender, event, id, **facts):
        counts.setdefault(event, set()).add(id)

    app.config["RECEIVERS"] = count
    signals.created.connect(count, app)
    signals.deleted.connect(count, app)
"""
    check = """
        assert app.config["COUNTS"].get("created") == app.config["COUNTS"].get("deleted")
"""

    failures, output = run(
        leaking("sessions", leak),
        conftest=CONFTEST.replace("        yield app\n", f"        yield app\n{check}"),
    )

    assert failures == set(), output


def test_models_are_removed_where_a_table_is_missing(run, pytester):
    leak = """
    with app.app_context():
        db.create_all()
        fill()
        db.session.execute(db.text("DROP TABLE IF EXISTS model_registry_app_defaults"))
        db.session.commit()
        db.engine.dispose()
    globals()["create_tables"] = lambda: None
"""

    failures, output = run(leaking("tokens", leak))

    assert TABLES in failures
    assert "  table model_registry_app_defaults" in output
    assert len(rows(pytester.path / "host.sqlite")["model_registry_models"]) == 2


FIXTURES = {
    "no app": (
        "",
        "fixture 'model_registry_app' not found",
    ),
    "no users": (
        CONFTEST[: CONFTEST.index("@pytest.fixture\ndef model_registry_users")],
        "fixture 'model_registry_users' not found",
    ),
    "no Flask app": (
        CONFTEST.replace("yield app", "yield app, host.db"),
        "model_registry_app must return your Flask app, not (<Flask 'tokens'>,",
    ),
    "no registry": (
        CONFTEST.replace("yield app", "app.extensions.pop('model_registry'); yield app"),
        "no model registry; call registry.init_app(app)",
    ),
    "one user": (
        CONFTEST.replace("yield from host.users", "yield next(host.users")
        .replace("(model_registry_app)\n", "(model_registry_app))[0]\n")
        .replace("users(model_registry_app))[0]:", "users(model_registry_app):"),
        "must return two different users, each a mapping of request headers",
    ),
    "the same user twice": (
        CONFTEST.replace("yield from host.users(model_registry_app)",
                         "yield next(host.users(model_registry_app))[:1] * 2"),
        "it returned the same user twice",
    ),
    "users of another kind": (
        CONFTEST.replace("yield from host.users(model_registry_app)", "yield 1, 2"),
        "an app.test_client() that has logged in, not int",
    ),
    "no valid token": (
        CONFTEST.replace("yield from host.users(model_registry_app)",
                         "yield next(host.users(model_registry_app))[0], {'Authorization': 'Bearer x'}"),
        "the second user of model_registry_users is not let in: GET /api/models/ returned 401",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FIXTURES)
def test_the_error_for_a_wrong_fixture_says_what_to_write(run, name):
    conftest, message = FIXTURES[name]

    _, output = run(HOSTS["tokens"], conftest=conftest)

    assert message in output
    assert "Traceback" not in output


def test_the_error_asks_for_a_parent_blueprints_variable(run):
    _, output = run(HOSTS["tenants"].replace("URL_VALUES", "OTHERS"))

    assert "write in the class url_values = {'tenant': ...}" in output


def test_a_parent_blueprint_must_be_registered(run):
    _, output = run(HOSTS["tenants"].replace("    app.register_blueprint(parent)\n", ""))

    assert "call app.register_blueprint with its parent" in output


def test_an_answer_of_the_hosts_instead_of_the_registry_is_shown(run):
    leak = HEAR.format("return 'closed', 418")

    failures, output = run(leaking("tokens", leak))

    assert failures == ALL - {TABLES, STORED}
    assert (
        "GET /api/models/ by the first user must return 200, but returned 418: 'closed'" in output
    )


def test_an_answer_of_the_hosts_to_some_requests_is_shown(run):
    leak = HEAR.format("return ('closed', 418) if request.method == 'PATCH' else None")

    failures, output = run(leaking("tokens", leak))

    assert failures == {LETS_IN, ANSWERS, LOGS, ABSENT}
    assert re.search(r"PATCH /api/models/\d+ by the first user must return 200, but", output)


def test_users_who_have_chosen_all_their_defaults_keep_them(run, pytester):
    leak = """
    from flask_model_registry.schemas.categories import CONFIG_TYPES

    with app.app_context():
        db.create_all()
        fill()
        user, fields = db.session.get(User, 1), {"model_provider": "openai", "model_name": "m"}
        for category in set(CONFIG_TYPES.values()):
            if not registry.list(user=user, category=category, q="all-"):
                registry.create(
                    user=user, category=category, model_id=f"all-{category}", api_key="sk-of-before", **fields
                )
        for config_type, category in CONFIG_TYPES.items():
            registry.set_default(config_type, f"all-{category}", user=user)
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
"""

    failures, output = run(leaking("tokens", leak))

    assert failures == set(), output
    assert len(rows(pytester.path / "host.sqlite")["model_registry_defaults"]) > 10


def test_a_registration_that_is_not_saved_is_found(run):
    leak = """
    from flask_model_registry import signals
    models = registry.tables.models

    def lose(sender, id, **facts):
        db.session.execute(models.delete().where(models.c.id == id))

    signals.created.connect(lose, app, weak=False)
"""

    failures, output = run(leaking("sessions", leak))

    assert ITSELF in failures
    assert "returned 201, but there is no row with the id" in output


def test_the_examples_of_the_documentation_pass(run, monkeypatch):
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", "sqlite://")
    monkeypatch.setenv("FLASK_JWT_SECRET_KEY", "k" * 48)
    monkeypatch.setenv("FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS", new_key())
    conftest, tests, *_ = blocks(ROOT / "docs" / "testing.md")

    failures, output = run(blocks(ROOT / "README.md")[0], conftest, tests)

    assert failures == set(), output


def test_the_example_of_clients_that_log_in_passes(run):
    _, tests, clients, *_ = blocks(ROOT / "docs" / "testing.md")
    conftest = CONFTEST[: CONFTEST.index("@pytest.fixture\ndef model_registry_users")] + clients

    failures, output = run(HOSTS["sessions"], conftest, tests)

    assert failures == set(), output


def test_the_example_of_a_parent_blueprint_passes(run):
    _, tests, *_, tenants = blocks(ROOT / "docs" / "testing.md")
    imports = tests.partition("\n")[0]

    failures, output = run(HOSTS["tenants"], tests=f"{imports}\n{tenants}")

    assert failures == set(), output


MEMBERS = """
from flask_jwt_extended import create_access_token

URL_VALUES = {"tenant": "acme"}


def create_tables():
    db.create_all()


def fill():
    for name in ("alice", "bob"):
        db.session.add(Membership(tenant="acme", user=User(name=name)))
    db.session.commit()


def users(app):
    clients = [app.test_client(), app.test_client()]
    for key, client in enumerate(clients, 1):
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {create_access_token(str(key))}"
    yield clients
"""


def test_the_example_of_tenants_passes(run, monkeypatch):
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", "sqlite://")
    monkeypatch.setenv("FLASK_JWT_SECRET_KEY", "k" * 48)
    monkeypatch.setenv("FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS", new_key())

    example = blocks(ROOT / "docs" / "hosts.md", section="Tenants")[0]
    failures, output = run(f"{example}\n{MEMBERS}")

    assert failures == set(), output


def test_each_test_is_in_the_table_of_the_documentation():
    page = (ROOT / "docs" / "testing.md").read_text()
    lines = re.findall(r"^\| (\w[^|]+) \|", page, re.MULTILINE)[1:]

    assert {"test_" + line.replace(" ", "_").lower() for line in lines} == ALL


def test_the_library_does_not_need_pytest():
    command = "import sys; sys.modules['pytest'] = None; import flask_model_registry, flask_model_registry.cli"

    subprocess.run([sys.executable, "-c", command], check=True)


def test_a_suite_loads_nothing_of_the_library():
    entry_points = distribution("flask-model-registry").entry_points

    assert [each for each in entry_points if each.group == "pytest11"] == []


FORMS = {
    "plain": lambda key: key,
    "in upper case": str.upper,
    "eight characters": lambda key: key[-20:-12],
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal in upper case": lambda key: key.encode().hex().upper(),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 after one more": lambda key: base64.b64encode(b":" + key.encode()).decode(),
    "base64 after two more": lambda key: base64.urlsafe_b64encode(b"u:" + key.encode()).decode(),
    "URL": quote_plus,
    "JSON": json.dumps,
    "HTML": html.escape,
    "repr of bytes": lambda key: repr(key.encode()),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_canary_is_found_in_every_form(form):
    canary, another = Canary(), Canary()

    text = f"before {FORMS[form](canary.api_key)} after"

    assert canary.is_in(text)
    assert not another.is_in(text)


def test_the_canary_does_not_show_itself():
    canary = Canary()

    assert not canary.is_in(f"{canary!r} {canary} {vars(Canary())}")


def test_listening_leaves_the_loggers_as_they_were():
    root, own = logging.getLogger(), logging.getLogger("without other listeners")
    own.propagate = False
    before = (root.level, [*root.handlers], [*own.handlers], sys.stdout)

    with contextlib.suppress(KeyError), captured_output() as captured:
        own.error("%s", "wrong", "arguments")
        raise KeyError

    assert (root.level, [*root.handlers], [*own.handlers], sys.stdout) == before
    assert "wrong" in captured[0][1]
