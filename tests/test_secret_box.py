"""The host's secret box while its server is away: 503, nothing written, and nothing revealed."""

import json

import pytest
import sqlalchemy as sa

from flask_model_registry import UnavailableError
from flask_model_registry.cli import new_key
from flask_model_registry.config import EncryptionKey
from flask_model_registry.services.encryption import AesGcmBox
from tests.hosts import CANARY, PREFIX, create_app, declare, model, register


class Remote(AesGcmBox):
    """Asks a server, which can be away after a number of responses."""

    def __init__(self, *entries):
        super().__init__([EncryptionKey.parse(entry) for entry in entries])
        self.error, self.left = None, 0

    def be_away(self, error, after=0):
        self.error, self.left = error, after

    def seal(self, plaintext, context):
        self._ask()
        return super().seal(plaintext, context)

    def open(self, blob, context):
        self._ask()
        return super().open(blob, context)

    def _ask(self):
        if self.error is not None and not self.left:
            raise self.error from TimeoutError(f"sent {CANARY}")
        self.left -= 1


@pytest.fixture
def box():
    return Remote(new_key("one"))


@pytest.fixture
def remote(hosts, box):
    """A host with that box, and a model that is the default of its owner."""
    host = hosts(secret_box=box)
    host.seen = []

    @host.app.before_request
    def note_the_visit():
        if box.error is not None:
            host.db.session.add(host.User(name="a visit"))
            host.db.session.flush()

    @host.app.errorhandler(LookupError)
    def handle(error):
        host.seen.append(error)
        return "the host's own page", 500

    alice = host.client("alice")
    (host.row_id,) = register(alice, "m")
    alice.put(f"{PREFIX}/defaults/general", json={"id": host.row_id})
    return host


def visits(host):
    """Return how many of the host's writes were kept while the box is away."""
    with host.app.app_context():
        users = sa.select(sa.func.count()).select_from(host.User).filter_by(name="a visit")
        return host.db.session.scalar(users)


REQUESTS = {
    "register": ("POST", "/register", model(model_id="n")),
    "new key": ("PUT", "/{id}/credential", {"api_key": CANARY}),
    "patch": ("PATCH", "/{id}", {"api_key": CANARY, "base_url": "https://a.example.com"}),
    "put": ("PUT", "/by-id/m", model(model_id="m")),
    "test": ("POST", "/{id}/test", None),
    "credential": ("GET", "/{id}/credential", None),
    "default": ("GET", "/defaults/general", None),
}


def send(host, name):
    method, path, body = REQUESTS[name]
    path = PREFIX + path.format(id=host.row_id)
    return host.client("alice").open(path, method=method, json=body)


@pytest.mark.sampled(2)
@pytest.mark.forces_errors
@pytest.mark.parametrize("name", REQUESTS)
def test_a_box_that_is_away_is_a_503_that_does_not_quote_it(remote, box, caplog, name):
    before = remote.rows("models")
    box.be_away(UnavailableError(f"could not do it with {CANARY}"))

    answer = send(remote, name)

    assert (answer.status_code, int(answer.headers["Retry-After"])) == (503, 1)
    assert answer.json == {
        "type": "urn:problem-type:model-registry:unavailable",
        "title": "The service is unavailable for the moment",
        "status": 503,
        "detail": "The service is unavailable for the moment",
    }
    assert (remote.rows("models"), visits(remote)) == (before, 0)
    told = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert told == ["model registry: unavailable: TimeoutError"]


@pytest.mark.forces_errors
def test_when_it_is_back_the_next_request_works(remote, box):
    box.be_away(UnavailableError())
    statuses = [send(remote, "register").status_code]
    box.be_away(None)
    statuses.append(send(remote, "register").status_code)

    assert statuses == [503, 201]


def test_python_calls_raise_what_the_box_raised_and_the_transaction_goes_on(remote, box):
    error = UnavailableError("the KMS is away")
    box.be_away(error)
    with remote.app.app_context():
        alice = remote.load("alice")
        calls = [
            lambda: remote.registry.resolve("m", user=alice),
            lambda: remote.registry.default("general", user=alice),
            lambda: remote.registry.create(user=alice, **model(model_id="n")),
            lambda: remote.registry.update("m", user=alice, api_key=CANARY),
        ]

        for call in calls:
            with pytest.raises(UnavailableError) as caught:
                call()
            assert caught.value is error

        box.be_away(None)
        remote.registry.create(user=alice, **model(model_id="o"))
        remote.db.session.commit()
    assert [row.model_id for row in remote.rows("models")] == ["m", "o"]


@pytest.mark.forces_errors
@pytest.mark.parametrize("name", ["register", "test"])
def test_any_other_exception_of_a_box_reaches_the_host(remote, box, name):
    error = LookupError("a bug")
    box.be_away(error)
    answer = send(remote, name)

    assert (answer.status_code, answer.text) == (500, "the host's own page")
    assert (remote.seen, visits(remote)) == ([error], 0)


@pytest.fixture
def rotating(hosts, canary):
    """A host with three models, in a process that encrypts with a newer key of its server."""
    old, new = new_key("old"), new_key("new")
    host = hosts(secret_box=Remote(old))
    register(host.client("alice"), "a", "b", "c")
    box = Remote(new, old)
    later = create_app(declare(secret_box=box), host.app.config["SQLALCHEMY_DATABASE_URI"])
    later.users, later.box = host.users, box
    yield later
    canary(later.app)
    later.close()


def test_a_rotation_ends_with_what_the_box_says_and_the_next_one_goes_on(rotating):
    rotating.box.be_away(
        UnavailableError("the KMS is away"), after=4
    )  # each row takes three responses

    output, status = rotating.run("rotate-keys")
    rotating.box.be_away(None)
    again = rotating.run("rotate-keys")

    assert (output, status) == ("Error: the KMS is away\n", 1)
    assert (again[1], "\n2 API keys were encrypted again" in again[0]) == (0, True)
    assert rotating.run("verify-keys")[1] == 0


def test_an_import_ends_at_once_and_blames_no_line(rotating, tmp_path):
    before, path = rotating.rows("models"), tmp_path / "in.jsonl"
    owner = str(rotating.user("alice"))
    lines = [json.dumps({**model(model_id=each), "owner": owner}) for each in "xyz"]
    path.write_text("\n".join(lines))
    rotating.box.be_away(UnavailableError("the KMS is away"), after=1)

    output, status = rotating.run("import", str(path))

    assert (output, status) == ("Error: the KMS is away\n", 1)
    assert rotating.rows("models") == before
