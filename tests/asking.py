"""Run as a program: register models in the example of calling them, and ask them a question."""

import json
import runpy
import sys
from pathlib import Path

from flask_jwt_extended import create_access_token


def main(example, models, asked):
    names = runpy.run_path(str(Path(example)))
    app, db = names["create_app"](), names["db"]
    with app.app_context():
        db.create_all()
        db.session.add(names["User"](id=7))
        db.session.commit()
        headers = {"Authorization": f"Bearer {create_access_token('7')}"}
    client = app.test_client()
    for model in models:
        assert client.post("/api/models/register", json=model, headers=headers).status_code == 201
    for address in asked:
        answer = client.post(address, json={"question": "How are you?"}, headers=headers)
        print(json.dumps({"status": answer.status_code, **answer.json}), flush=True)  # noqa: T201  # what it is run for


if __name__ == "__main__":
    main(*json.load(sys.stdin))
