"""A gateway: clients of OpenAI's API call your users' models without seeing their API keys.

The README in this folder says how to run it. ``flask --app app setup`` creates a user and a token.
"""

import httpx2
from flask import Flask, Response, jsonify, request
from flask_jwt_extended import JWTManager, create_access_token, jwt_required
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry, RegistryError

TIMEOUT = httpx2.Timeout(600, connect=10)  # seconds between two pieces of a response

db = SQLAlchemy()
jwt = JWTManager()


class User(db.Model):
    """The host's own users."""

    id = db.Column(db.Integer, primary_key=True)


registry = ModelRegistry(db, User)


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(User, int(claims["sub"]))


def problem(status, message, code):
    """Return an error as OpenAI's clients read it."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return jsonify(error=error), status


def send(model, path, body):
    """Call a model's provider, and return the client and the unread response."""
    client = model.http_client("httpx2")
    headers = {"Authorization": f"Bearer {model.api_key.reveal()}"}
    url = f"{model.base_url.rstrip('/')}/{path}"
    try:
        call = client.build_request("POST", url, json=body, headers=headers, timeout=TIMEOUT)
        upstream = client.send(call, stream=True)
    except BaseException:
        client.close()
        raise
    return client, upstream


def create_app():
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 20_000_000  # images are part of the JSON
    # FLASK_SQLALCHEMY_DATABASE_URI, FLASK_JWT_SECRET_KEY, FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS
    app.config.from_prefixed_env()
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app)

    @app.get("/v1/models")
    @jwt_required()
    def models():
        names = dict.fromkeys(each["model_id"] for each in registry.list())
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "you"} for name in names]
        return jsonify(object="list", data=data)

    @app.post("/v1/chat/completions")
    @app.post("/v1/embeddings")
    @app.post("/v1/responses")
    @jwt_required()
    def call():
        body = request.get_json()
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            return problem(400, "The body must be an object with a model.", "bad-request")
        model = registry.resolve(body["model"])
        db.session.commit()  # releases the connection, because the response may take minutes
        registered = model.call_kwargs().get("extra_body", {})
        body = {**registered, **body, "model": model.model_name}
        client, upstream = send(model, request.path.removeprefix("/v1/"), body)
        response = Response(upstream.iter_bytes(), upstream.status_code)
        response.call_on_close(upstream.close)
        response.call_on_close(client.close)
        if upstream.is_redirect or upstream.status_code in {401, 403}:  # about the model's API key
            response.close()
            return problem(502, "The provider refused the model's API key.", "upstream")
        is_stream = upstream.headers.get("Content-Type", "").startswith("text/event-stream")
        # A user's server must not serve pages in your app's name, whatever type it sends.
        response.content_type = "text/event-stream" if is_stream else "application/json"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
        return response

    @app.errorhandler(RegistryError)
    def refuse(error):
        return (*problem(error.status, error.detail, error.code), error.headers)

    @app.errorhandler(httpx2.HTTPError)
    def fail(error):
        app.logger.warning("the provider failed: %s", type(error).__name__)
        return problem(502, "The provider can't be reached.", "upstream")

    @app.cli.command("setup")
    def setup():
        """Create the tables and a user, and print a token."""
        db.create_all()
        user = User()
        db.session.add(user)
        db.session.commit()
        print(create_access_token(str(user.id)))

    return app
