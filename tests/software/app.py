"""The app that Gunicorn serves in these tests: the registry, and a page with it for each user."""

import os

from tests.hosts import make_host

PAGE = """<!doctype html><html lang="en"><title>Host</title><main><h1>Host</h1>
<script type="module" src="/api/models/static/model-registry.js"></script>
<model-registry src="/api/models" token="{}"></model-registry></main></html>"""


def create_app():
    """Return the app, with what its environment asks for."""
    algorithm = os.environ.get("COMPRESS_ALGORITHM")
    host = make_host(os.environ["DATABASE_URL"], config={"COMPRESS_ALGORITHM": algorithm})
    if algorithm:
        from flask_compress import Compress

        Compress(host.app)

    @host.app.get("/as/<name>")
    def page(name):
        return PAGE.format(host.token(name))

    @host.app.get("/as/<name>/token")
    def token(name):
        return host.token(name)

    return host.app
