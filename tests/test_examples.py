"""Follow the README, the documentation and the examples."""

import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request

import pytest

from flask_model_registry.cli import new_key
from tests.doc_runner import ROOT, blocks
from tests.hosts import CANARY, PREFIX, create_app, declare, model, register
from tests.kms import Kms
from tests.ports import free_port


@pytest.fixture
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", f"sqlite:///{tmp_path / 'x.sqlite'}")
    monkeypatch.setenv("FLASK_JWT_SECRET_KEY", "k" * 48)
    monkeypatch.setenv("FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS", new_key())


def test_the_first_example_of_the_readme_is_near_its_top():
    lines = (ROOT / "README.md").read_text().splitlines()

    assert 50 <= len(lines) <= 100
    assert lines.index("```python") < 25


def test_the_minimal_example_is_short_and_works(environment):
    source = ROOT / "examples" / "minimal" / "app.py"
    names = {"__name__": "minimal"}
    exec(compile(source.read_text(), str(source), "exec"), names)
    app = names["create_app"]()

    token = app.test_cli_runner().invoke(args=["setup"]).output.strip()
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    client.post(f"{PREFIX}/register", json=model())
    answer = client.get("/which/gpt-4o")

    assert answer.json == {
        "name": "gpt-4o-2024-11-20",
        "address": "https://api.openai.com/v1",
    }
    assert len(source.read_text().splitlines()) <= 60
    with app.app_context():
        names["db"].engine.dispose()


@pytest.fixture
def boxes():
    """The boxes of the documentation."""
    example = {}
    for block in blocks(ROOT / "docs" / "security.md", section="API keys"):
        exec(block, example)
    return example


def test_the_example_of_a_key_management_service_seals_opens_and_rotates(hosts, boxes):
    kms = Kms()
    host = hosts(
        secret_box=boxes["EnvelopeBox"](kms, "one"), config={"MODEL_REGISTRY_ENCRYPTION_KEYS": None}
    )
    ids = register(host.client("alice"), "a", "b", "c")
    url = host.app.config["SQLALCHEMY_DATABASE_URI"]
    later = create_app(declare(secret_box=boxes["EnvelopeBox"](kms, "two", "one")), url)
    later.users = host.users
    alice = later.client("alice")

    assert later.run("rotate-keys")[1] == 0
    assert later.run("list-keys")[0].split() == ["3", "seals", "'two'", "0", "opens", "'one'"]
    assert later.run("verify-keys") == ("3 of 3 looked at\n3 of 3 API keys can be decrypted.\n", 0)
    models = host.registry.tables.models
    host.execute(models.update().where(models.c.id == ids[0]).values(ciphertext=b"\xff" * 60))
    host.execute(models.update().where(models.c.id == ids[1]).values(key_id="one"))
    told = [alice.get(f"{PREFIX}/{row_id}/credential").json["status"] for row_id in ids]
    assert told == ["unreadable", "unreadable", "readable"]
    later.close()


def test_the_example_moves_from_the_built_in_box_to_a_service_and_back(hosts, boxes):
    entry = new_key("old")
    host = hosts(config={"MODEL_REGISTRY_ENCRYPTION_KEYS": entry})
    register(host.client("alice"), "m")
    built_in, service = boxes["built_in"](entry), boxes["EnvelopeBox"](Kms(), "one")
    url, resolved = host.app.config["SQLALCHEMY_DATABASE_URI"], []

    for box in (
        boxes["FirstOf"](built_in, service),
        boxes["FirstOf"](service, built_in),
        service,
        boxes["FirstOf"](built_in, service),
        built_in,
    ):
        later = create_app(declare(secret_box=box), url)
        later.users = host.users
        with later.app.app_context():
            later.registry.check_keys()
            resolved.append(later.registry.resolve("m", user=later.load("alice")).api_key.reveal())
        assert later.run("rotate-keys")[1] == 0
        later.close()

    assert resolved == [CANARY] * 5


@pytest.mark.databases("sqlite")
def test_a_key_management_service_that_is_away_is_no_unreadable_key(hosts, boxes, monkeypatch):
    kms = Kms()
    host = hosts(secret_box=boxes["EnvelopeBox"](kms, "one"))
    register(host.client("alice"), "m")

    def away(blob):
        raise TimeoutError

    monkeypatch.setattr(kms, "decrypt", away)

    with host.app.app_context(), pytest.raises(TimeoutError):
        host.registry.resolve("m", user=host.load("alice"))


@pytest.mark.databases("sqlite")
@pytest.mark.forces_errors
def test_the_example_says_so_when_its_service_is_away(hosts, boxes, monkeypatch):
    kms = Kms()
    host = hosts(secret_box=boxes["EnvelopeBox"](kms, "one"))
    (row_id,) = register(host.client("alice"), "m")

    def away(*_args):
        raise kms.AwayError

    monkeypatch.setattr(kms, "encrypt", away)
    monkeypatch.setattr(kms, "decrypt", away)
    path = f"{PREFIX}/{row_id}/credential"
    answers = [
        host.client("alice").get(path),
        host.client("alice").put(path, json={"api_key": CANARY}),
    ]

    assert [answer.status_code for answer in answers] == [503, 503]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo server, running; its printed text, and its folder."""
    pytest.importorskip("waitress", reason="the demo extra is not installed")
    port = free_port()
    instance = tmp_path_factory.mktemp("demo") / "instance"
    environ = {**os.environ, "PORT": str(port), "DEMO_INSTANCE": str(instance)}
    command = [sys.executable, str(ROOT / "examples" / "demo" / "app.py")]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Serving"):
                break
        yield "".join(lines), instance
        process.terminate()


def test_the_demo_prints_commands_that_work_when_pasted(demo):
    text, instance = demo
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    commands = re.findall(r"^curl .*?(?<!\\)$", text, re.DOTALL | re.MULTILINE)

    outputs = [
        subprocess.run(["bash", "-c", each], capture_output=True, text=True, check=True).stdout
        for each in commands
    ]

    register, listing = outputs
    assert register.startswith("HTTP/1.1 201")
    assert len(json.loads(register.splitlines()[-1])) == 17
    assert json.loads(listing.splitlines()[-1])[-1]["model_id"] == "gpt-4o"
    assert "DEMO" in text
    assert (instance / "encryption-keys").stat().st_mode & 0o077 == 0


DEMO_ROUTES = ["/", "/as/alice", "/people", "/static/demo.css", "/nothing-here"]
DEMO_ROUTES += [f"{PREFIX}/", f"{PREFIX}/openapi.json", f"{PREFIX}/static/model-registry.js"]
DEMO_ROUTES += ["/stand-in/v1/models"]


def ask_demo(port, method, path, **headers):
    """Send a request whose Host and other headers are what a test says; return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Content-Length": "0", **headers}.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    with contextlib.closing(connection):
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def port_of(text):
    return int(re.search(r"http://127\.0\.0\.1:(\d+)/", text)[1])


def test_the_demo_refuses_hosts_that_are_not_its_own(demo):
    port, names = port_of(demo[0]), ("127.0.0.1", "localhost")
    foreign = ["rebound.example", f"rebound.example:{port}", f"127.0.0.1.nip.example:{port}"]
    foreign += [
        f"127.0.0.1:{port + 1}",
        "127.0.0.1",
        "localhost",
        f"0.0.0.0:{port}",
        f"[::1]:{port}",
    ]
    foreign += ["", f"localhost:{port}@rebound.example", f"user@127.0.0.1:{port}"]

    refused = {
        (host, path): ask_demo(port, "GET", path, Host=host)[0]
        for host in foreign
        for path in DEMO_ROUTES
    }
    forwarded = ask_demo(
        port, "GET", "/", Host="rebound.example", X_Forwarded_Host=f"127.0.0.1:{port}"
    )
    served = [ask_demo(port, "GET", "/as/alice", Host=f"{name}:{port}")[0] for name in names]

    assert {each: status for each, status in refused.items() if status not in {400, 403}} == {}
    assert forwarded[0] in {400, 403}
    assert served == [200, 200]


def test_the_demo_gives_no_token_and_resets_nothing_for_another_host(demo):
    port = port_of(demo[0])

    answers = [
        ask_demo(port, "POST", path, Host="rebound.example") for path in ("/reset", "/as/bob/token")
    ]

    assert [status for status, _ in answers] == [403, 403]
    assert [body for _, body in answers if "token" in body] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:{other}"},
        {"Origin": "http://127.0.0.1:{port}.elsewhere.example"},
        {"Origin": "http://localhost:{port}"},  # another name is another site
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},  # another port of this machine
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://127.0.0.1:{port}"},
        {"Referer": "http://elsewhere.example/page"},
    ],
)
def test_the_demo_refuses_posts_from_elsewhere(demo, headers):
    port = port_of(demo[0])
    sent = {name: text.format(port=port, other=port + 1) for name, text in headers.items()}
    token = json.loads(ask_demo(port, "POST", "/as/alice/token", Host=f"127.0.0.1:{port}")[1])
    login = {"Host": f"127.0.0.1:{port}", "Authorization": f"Bearer {token['token']}"}
    ask_demo(port, "DELETE", f"{PREFIX}/2", **login)

    refused = [
        ask_demo(port, "POST", path, Host=f"127.0.0.1:{port}", **sent)
        for path in ("/reset", "/as/alice/token")
    ]

    assert [status for status, _ in refused] == [403, 403]
    assert [body for _, body in refused if "eyJ" in body] == []
    assert ask_demo(port, "GET", f"{PREFIX}/2", **login)[0] == 404  # nothing began again


@pytest.mark.parametrize(
    "headers",
    [
        {},  # a program, not a browser
        {"Origin": "http://{host}"},
        {"Origin": "http://{host}", "Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Referer": "http://{host}/as/alice"},
    ],
)
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_demo_resets_for_its_own_pages(demo, name, headers):
    port = port_of(demo[0])
    host = f"{name}:{port}"
    sent = {header: text.format(host=host) for header, text in headers.items()}

    assert ask_demo(port, "POST", "/reset", Host=host, **sent)[0] == 302
    assert ask_demo(port, "POST", "/as/alice/token", Host=host, **sent)[0] == 200


def test_the_demo_cannot_be_framed(demo):
    port = port_of(demo[0])

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
        policy = answer.headers["Content-Security-Policy"]

    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy


def test_commands_for_contributors_exist():
    """It takes too long, or needs containers, so it isn't run here."""
    if not (ROOT / "Makefile").exists():
        pytest.skip("this is no checkout")
    told = (ROOT / "docs" / "contributing.md").read_text().partition("\n## Architecture\n")[0]
    makefile, extras = (ROOT / "Makefile").read_text(), (ROOT / "setup.cfg").read_text()

    targets = {*re.findall(r"(?:^|`)make ([a-z-]+)(?= |`|$)", told, re.MULTILINE)}
    tools = {*re.findall(r"\.venv/bin/([a-z-]+)", told)} - {"python", "lint-imports"}
    paths = {*re.findall(r"(?:tests|docs)/[a-z_]+(?:\.py|\.json)?", told)} - {"docs/_build"}

    assert {"test", "soak", "matrix"} <= targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
    assert [name for name in tools if f"    {name}>=" not in extras] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []
