"""A stand-in for Vault with a KV engine of version 2, for clients that read secrets."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

TOKEN = "a-token-of-vault"


class Vault(BaseHTTPRequestHandler):
    """Answers ``GET /v1/secret/data/PATH``."""

    def do_GET(self):
        self.server.asked.append(self.path)
        secret = self.server.secrets.get(self.path.removeprefix("/v1/secret/data/"))
        if self.headers.get("X-Vault-Token") != TOKEN:
            self.answer(403, {"errors": ["permission denied"]})
        elif self.server.is_sealed:
            self.answer(503, {"errors": ["Vault is sealed"]})
        elif secret is None:
            self.answer(404, {"errors": []})
        else:
            self.answer(200, {"data": {"data": secret, "metadata": {"version": 1}}})

    def answer(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def vault(**secrets):
    """Serve secrets, each by its path; the server has a ``url`` and what it was ``asked``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vault)
    server.secrets, server.asked, server.is_sealed = secrets, [], False
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
