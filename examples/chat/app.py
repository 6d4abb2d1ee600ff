"""A host that calls its users' models, with the SDK of their choice.

Needs ``openai``, ``anthropic`` and ``litellm``, and the three variables that ``create_app`` names.
``flask --app app setup`` creates a user and a token. ``flask --app app run`` runs the server.
"""

import anthropic
import litellm
import openai
from flask import Flask, jsonify, request
from flask_jwt_extended import JWTManager, create_access_token, jwt_required
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry, RegistryError, problem_response

db = SQLAlchemy()
jwt = JWTManager()


class User(db.Model):
    """The host's own users."""

    id = db.Column(db.Integer, primary_key=True)


registry = ModelRegistry(db, User)


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(User, int(claims["sub"]))


def ask_with_openai(model, question):
    client = openai.OpenAI(**model.openai_kwargs(), http_client=model.http_client())
    messages = [{"role": "user", "content": question}]
    answer = client.chat.completions.create(**model.call_kwargs(), messages=messages)
    return answer.choices[0].message.content


def ask_with_anthropic(model, question):
    client = anthropic.Anthropic(**model.anthropic_kwargs(), http_client=model.http_client())
    messages = [{"role": "user", "content": question}]
    answer = client.messages.create(**model.call_kwargs(), messages=messages, max_tokens=1024)
    return "".join(block.text for block in answer.content if block.type == "text")


def ask_with_litellm(model, question):
    client = openai.OpenAI(**model.openai_kwargs(), http_client=model.http_client())
    messages = [{"role": "user", "content": question}]
    kwargs = model.call_kwargs() | model.litellm_kwargs(client)
    answer = litellm.completion(**kwargs, messages=messages)
    return answer.choices[0].message.content


SDKS = {"openai": ask_with_openai, "anthropic": ask_with_anthropic, "litellm": ask_with_litellm}


def create_app():
    app = Flask(__name__)
    # FLASK_SQLALCHEMY_DATABASE_URI, FLASK_JWT_SECRET_KEY, FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS
    app.config.from_prefixed_env()
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app)
    app.register_error_handler(RegistryError, problem_response)

    @app.post("/ask/<any(openai, anthropic, litellm):sdk>/<path:model_id>")
    @jwt_required()
    def ask(sdk, model_id):
        question = request.get_json()["question"]
        if not isinstance(question, str):  # LiteLLM would fetch files named in a list of parts
            return jsonify(title="The question must be a string"), 400
        model = registry.resolve(model_id)
        db.session.commit()  # releases the connection, because the response may take minutes
        return jsonify(answer=SDKS[sdk](model, question))

    @app.errorhandler(openai.OpenAIError)  # also the base class of LiteLLM's errors
    @app.errorhandler(anthropic.AnthropicError)
    def fail(error):
        app.logger.warning("the provider failed: %s", type(error).__name__)
        return jsonify(title="The provider failed"), 502

    @app.cli.command("setup")
    def setup():
        """Create the tables and a user, and print a token."""
        db.create_all()
        user = User()
        db.session.add(user)
        db.session.commit()
        print(create_access_token(str(user.id)))

    return app
