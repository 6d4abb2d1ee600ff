"""The smallest host: users, tokens and the registry. Run with ``flask --app app run``."""

from flask import Flask, jsonify
from flask_jwt_extended import JWTManager, create_access_token, jwt_required
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelRegistry, configure_sqlite

db = SQLAlchemy()
jwt = JWTManager()


class User(db.Model):
    """The host's own users."""

    id = db.Column(db.Integer, primary_key=True)
    is_admin = db.Column(db.Boolean, default=False)


registry = ModelRegistry(db, User)


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(User, int(claims["sub"]))


def create_app():
    app = Flask(__name__)
    # FLASK_SQLALCHEMY_DATABASE_URI, FLASK_JWT_SECRET_KEY, FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS
    app.config.from_prefixed_env()
    db.init_app(app)
    jwt.init_app(app)
    registry.init_app(app)
    with app.app_context():
        configure_sqlite(db.engine)  # foreign keys on; leaves other databases alone

    @app.get("/which/<model_id>")
    @jwt_required()
    def which(model_id):
        # OpenAI(**model.openai_kwargs(), http_client=model.http_client()) calls it.
        model = registry.resolve(model_id)
        return jsonify(name=model.model_name, address=model.base_url)

    @app.cli.command("setup")
    def setup():
        """Create the tables and a user, and print a token."""
        db.create_all()
        user = User()
        db.session.add(user)
        db.session.commit()
        print(create_access_token(str(user.id)))

    return app
