"""Run as a program: register models in the example app `chat`, and ask them a question."""

import json
import runpy
import sys

looked_up = set()


def watch(event, args):
    if event == "socket.getaddrinfo":
        looked_up.add(str(args[0]))


def main(example, models, asked):
    names = runpy.run_path(example)
    app = names["create_app"]()
    headers = {"Authorization": f"Bearer {app.test_cli_runner().invoke(args=['setup']).output}"}
    headers["Authorization"] = headers["Authorization"].strip()
    client = app.test_client()
    for model in models:
        assert client.post("/api/models/register", json=model, headers=headers).status_code == 201
    for each in asked:
        address, question = (each, "How are you?") if isinstance(each, str) else each
        answer = client.post(address, json={"question": question}, headers=headers)
        show({"status": answer.status_code, **answer.json})
    show({"looked_up": sorted(looked_up)})


def show(told):
    print(json.dumps(told), flush=True)  # noqa: T201  # what it is run for


if __name__ == "__main__":
    sys.addaudithook(watch)
    main(*json.load(sys.stdin))
