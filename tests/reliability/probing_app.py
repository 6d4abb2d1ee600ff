"""A host app as servers run it, on this machine's own network, set up by environment variables."""

from tests.hosts import services_of
from tests.reliability import served_app


def create_app():
    """Be found by Gunicorn."""
    # On a busy machine, hundreds of requests take longer than a test has by default.
    app = served_app.create_app(MODEL_REGISTRY_PROBE_TIMEOUT=300)
    # Made again when a model is first tested, as in a host's own app.
    del services_of(app).providers.client._transport
    return app
