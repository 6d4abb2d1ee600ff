"""Run as a program: call models with the real packages, as the tables of the page say.

Without rows, it prints the variables of the environment that the packages may read.
"""

import asyncio
import copy
import importlib
import inspect
import json
import os
import re
import socket
import ssl
import sys
import threading
from importlib.metadata import distributions
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import BaseModel

from flask_model_registry.providers.catalogue import PROVIDERS
from flask_model_registry.providers.destination import Destination
from tests.accounts import AWS, GOOGLE, SERVICE_ACCOUNT
from tests.hosts import CANARY, make_host, model
from tests.provider_stub import ACCESS_TOKEN, Stub

VARIABLE = re.compile(
    rb"[\"']((?:[A-Z0-9]+_)+(?:API_KEY|TOKEN|BASE_URL|API_BASE|API_URL|ENDPOINT|HOST))[\"']"
)
# The base URL of providers that have none of their own, as their users would write it.
BASE_PATHS = {"any": "/v1", "azure-openai": "", "ollama": ""}
# Rows for these take a credential of a cloud.
CLOUD_HOSTS = (".amazonaws.com", ".googleapis.com")
CLOUD_KINDS = {"bedrock": AWS, "vertex": GOOGLE}
KEYS = (CANARY, AWS["secret"]["access_key_id"], ACCESS_TOKEN)
OF_USER = {"a_parameter": 7}
connected = set()


class Answer(BaseModel):
    """What instructor makes of an answer."""

    text: str


def variables():
    """Return the names of the variables that any installed package may read."""
    found = {b"OLLAMA_HOST"}
    for distribution in distributions():
        for file in distribution.files or ():
            if file.suffix == ".py" and "test" not in str(file):
                path = Path(distribution.locate_file(file))
                if path.is_file():
                    found.update(VARIABLE.findall(path.read_bytes()))
    return sorted(name.decode() for name in found)


def watch(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        connected.add(args[1][1])


class Caller:
    """Calls models of a host, and counts what goes through the guard."""

    def __init__(self):
        self.stub, self.guarded, self.foreign = Stub(), 0, 0
        config = {"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]}
        self.host = make_host("sqlite://", config=config)
        self.host.user("alice")
        real = Destination.request

        def request(destination, sent):
            self.guarded += 1
            self.foreign += "of-the-environment" in str(sent.headers.raw)  # the guard drops it
            return real(destination, sent)

        Destination.request = request
        self.cloud = None

    def open_cloud(self):
        """Be the servers of AWS and Google, for all packages in this process."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        hosts = (f"*{host}" for host in CLOUD_HOSTS)
        authority.issue_cert("*.eu-central-1.amazonaws.com", *hosts).configure_cert(context)
        self.cloud = Stub(context)
        with NamedTemporaryFile(delete=False) as file:
            file.write(authority.cert_pem.bytes())
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"):
            os.environ[name] = file.name
        real = socket.getaddrinfo

        def getaddrinfo(host, port, *args, **options):
            name = host.decode() if isinstance(host, bytes) else str(host)
            if name.endswith(CLOUD_HOSTS):
                host, port = "127.0.0.1", self.cloud.server_port
            return real(host, port, *args, **options)

        socket.getaddrinfo = getaddrinfo

    def resolved_by_cloud(self, number, kind, path):
        """Register a model with a credential of a cloud's kind, and resolve it."""
        if self.cloud is None:
            self.open_cloud()
        account = {**kind, "name": f"c{number}"}
        if kind is GOOGLE:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
            account["secret"] = {"service_account": {**SERVICE_ACCOUNT, "private_key": pem}}
        # LiteLLM needs to see that a model is Gemini.
        name = "gemini-NAME" if "gemini-NAME" in path else "NAME"
        fields = {"model_id": f"m{number}", "model_name": name, **parameters(path)}
        with self.host.app.app_context():
            alice = self.host.load("alice")
            made = self.host.registry.create_credential(user=alice, **copy.deepcopy(account))
            self.host.registry.create_models(made["id"], [fields], user=alice)
            self.host.registry.set_parameters(f"m{number}", parameters=OF_USER, user=alice)
            return self.host.registry.resolve(f"m{number}", user=alice)

    def resolved(self, number, provider, path):
        """Register a model for a path, and resolve it."""
        known = next((each for each in PROVIDERS if each.id == provider), None)
        base_path = BASE_PATHS.get(provider)
        fields = {
            "model_id": f"m{number}",
            "model_provider": "vllm" if known is None else provider,
            "base_url": self.stub.url
            + (urlsplit(known.base_url).path if base_path is None else base_path),
            "model_name": "NAME",
            **parameters(path),
        }
        with self.host.app.app_context():
            alice = self.host.load("alice")
            self.host.registry.create(user=alice, **model(**fields))
            self.host.registry.set_parameters(f"m{number}", parameters=OF_USER, user=alice)
            return self.host.registry.resolve(f"m{number}", user=alice)

    def outcome(self, number, row):
        """Return what a row of the tables does."""
        if kind := CLOUD_KINDS.get(row["provider"]):
            resolved = self.resolved_by_cloud(number, kind, row["path"])
            stub = self.cloud
        else:
            resolved, stub = self.resolved(number, row["provider"], row["path"]), self.stub
        before, self.guarded, self.foreign = len(stub.received), 0, 0
        names = {"model": resolved, "name": resolved.model_name, "key": CANARY, "Answer": Answer}
        code = row["names"]
        if kind:  # which has no key and no guard
            code = code[code.index("messages = ") :]
        exec(code, names)
        for code in (row["client"], row["call"]):
            names.update(imported(code))
        names["client"] = eval(row["client"], names)
        result = eval(row["call"], names)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        return {
            "result": repr(result),
            "guarded": self.guarded,
            "foreign": self.foreign,
            "received": [
                [each.path,
                 [name for name, value in each.headers.items() if any(key in value for key in KEYS)],
                 "of-the-environment" in str(each), each.body.decode(errors="replace")]
                for each in stub.received[before:]
                if each.path != "/token"  # where a service account gets its access token
            ],
        }  # fmt: skip


async def _awaited(result):
    return await result


def parameters(path):
    """Return what is registered of a model that is called there."""
    if "embed" in path.lower():
        return {"category": "embedding", "dimension": 2}
    for category in ("rerank", "audio", "images"):
        if category in path:
            return {"category": {"audio": "speech", "images": "image"}.get(category, category)}
    return {"temperature": 0.25}


def imported(code):
    """Import the modules that code names, and return the packages."""
    packages = {}
    for dotted in re.findall(r"(?<![\w.\"'])[a-z]\w*(?:\.\w+)+", code):
        parts = dotted.split(".")
        if parts[0] not in {"model", "client"}:
            packages[parts[0]] = importlib.import_module(parts[0])
            for end in range(2, len(parts)):
                try:
                    importlib.import_module(".".join(parts[:end]))
                except ImportError:
                    break
    return packages


def main(rows):
    if not rows:
        show(variables())
        return
    threading.excepthook = lambda _: None
    caller = Caller()
    for number, row in enumerate(rows):
        try:
            show(caller.outcome(number, row))
        except Exception as error:
            show({"error": f"{type(error).__name__}: {error}"})
    ours = {stub.server_port for stub in (caller.stub, caller.cloud) if stub is not None}
    show(sorted(connected - ours))


def show(told):
    print("\n" + json.dumps({"told": told}), flush=True)  # noqa: T201  # what it is run for


if __name__ == "__main__":
    sys.addaudithook(watch)
    main(json.load(sys.stdin))
