"""Front ends on another origin: which response headers their scripts can read."""

import pytest
from flask import Blueprint

from tests.hosts import PREFIX, create_app, declare, model, register

flask_cors = pytest.importorskip("flask_cors")
CORS = flask_cors.CORS
EXPOSED = ["etag", "link", "location", "retry-after"]
ORIGIN = "http://front.example"
NAME = "Access-Control-Expose-Headers"


def exposed(response):
    # Browsers join the lists (Fetch, section 2.2.2), and names in any case.
    return sorted({*", ".join(response.headers.getlist(NAME)).lower().split(", ")})


@pytest.fixture
def cors_host(tmp_path, canary):
    """Make a host that uses Flask-CORS, before or after the registry."""
    made = []

    def make(before=None, after=None, parent=None):
        declared = declare()

        def mount(app):
            if before:
                before(app)
            declared[3].init_app(app, parent=parent)
            if parent:
                app.register_blueprint(parent)
            if after:
                after(app)

        host = create_app(declared, f"sqlite:///{tmp_path / 'host.sqlite'}", mount=mount)
        made.append(host)
        with host.app.app_context():
            host.db.create_all()
        return host

    yield make
    for host in made:
        canary(host.app)
        host.close()


def answers(host):
    """Return answers of every kind: success, and refusals."""
    alice, bob = host.client("alice"), host.client("bob")
    origin = {"Origin": ORIGIN}
    created = alice.post(f"{PREFIX}/register", json=model(), headers=origin)
    row_id = created.json["id"]
    register(alice, *(f"m-{number}" for number in range(3)))
    return {
        201: created,
        200: alice.get(f"{PREFIX}/?limit=2", headers=origin),
        204: alice.options(f"{PREFIX}/{row_id}", headers=origin),
        304: alice.get(f"{PREFIX}/{row_id}", headers={**origin, "If-None-Match": "*"}),
        400: alice.post(
            f"{PREFIX}/register", data="{", content_type="application/json", headers=origin
        ),
        401: host.client().get(f"{PREFIX}/", headers=origin),
        404: bob.get(f"{PREFIX}/{row_id}", headers=origin),
        405: alice.put(f"{PREFIX}/summary", json={}, headers=origin),
        409: alice.post(f"{PREFIX}/register", json=model(), headers=origin),
        412: alice.patch(f"{PREFIX}/{row_id}", json={}, headers={**origin, "If-Match": '"x"'}),
        413: alice.post(f"{PREFIX}/register", json={"model_id": "x" * 70_000}, headers=origin),
        415: alice.post(f"{PREFIX}/register", data="x", headers=origin),
        422: alice.post(f"{PREFIX}/register", json={}, headers=origin),
    }


def test_every_answer_exposes_the_headers_that_clients_read(host):
    for status, response in answers(host).items():
        assert response.status_code == status
        assert exposed(response) == EXPOSED
    for path in ("/openapi.json", "/static/model-registry.js", "/no/such", "/static/no"):
        with host.client("alice").get(PREFIX + path) as response:
            assert exposed(response) == EXPOSED


@pytest.mark.parametrize("place", ["before", "after"])
def test_with_flask_cors_they_are_exposed_too(cors_host, place):
    host = cors_host(**{place: CORS})

    for status, response in answers(host).items():
        assert response.status_code == status
        assert exposed(response) == EXPOSED
        assert response.headers.getlist("Access-Control-Allow-Origin")


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(
    ("expose", "names"),
    [
        (["X-Total"], ["x-total", *EXPOSED]),
        (["etag", "X-Total", "Link"], ["x-total", *EXPOSED]),
        ("*", ["*", *EXPOSED]),
    ],
)
def test_headers_that_the_host_exposes_stay(cors_host, place, expose, names):
    host = cors_host(**{place: lambda app: CORS(app, expose_headers=expose)})

    for response in answers(host).values():
        assert exposed(response) == sorted(names)


def test_a_preflight_allows_what_the_page_sends(cors_host):
    host = cors_host(after=CORS)
    asked = "authorization,content-type,if-match,if-none-match"

    for path, method in [
        ("/", "GET"),
        ("/register", "POST"),
        ("/1", "PATCH"),
        ("/1", "DELETE"),
        ("/1", "PUT"),
    ]:
        response = host.client().options(
            PREFIX + path,
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": asked,
            },
        )
        assert response.status_code == 204
        assert response.headers["Access-Control-Allow-Origin"] in {"*", ORIGIN}
        assert method in response.headers["Access-Control-Allow-Methods"].split(", ")
        allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert sorted(allowed) == sorted(asked.split(","))


def test_other_routes_of_the_host_are_as_they_were(cors_host):
    def add(app):
        # Named as ours is, but the host's.
        own = Blueprint("model_registry", __name__)
        own.add_url_rule("/own", "own", flask_cors.cross_origin()(lambda: "x"))
        parent = Blueprint("parent", __name__)
        parent.register_blueprint(own)
        app.register_blueprint(parent)
        app.add_url_rule("/plain", "plain", lambda: "x")

    host = cors_host(after=add)

    for path in ("/own", "/plain", "/no/such"):
        assert NAME not in host.client().get(path, headers={"Origin": ORIGIN}).headers


def test_below_a_blueprint_of_the_host_too(cors_host):
    parent = Blueprint("parent", __name__, url_prefix="/<tenant>")
    host = cors_host(parent=parent, after=CORS)

    response = host.client().get(f"/x{PREFIX}/", headers={"Origin": ORIGIN})

    assert (response.status_code, exposed(response)) == (401, EXPOSED)


@pytest.mark.forces_errors
def test_scripts_can_read_the_hosts_errors_too(cors_host):
    host = cors_host(after=CORS)
    alice = host.client("alice")
    with host.app.app_context():
        host.db.drop_all()

    host.app.config["PROPAGATE_EXCEPTIONS"] = False
    response = alice.get(f"{PREFIX}/", headers={"Origin": ORIGIN})

    assert (response.status_code, exposed(response)) == (500, EXPOSED)
