"""Run as a program: read the page of calls, with the SDKs; they change what is around them."""

import sys
from pathlib import Path

import anthropic
import litellm
import openai
from flask import request

from tests.reading import World


def main(folder):
    world = World(Path(folder))
    registry, names = world.names["registry"], world.names
    names.update(anthropic=anthropic, litellm=litellm, openai=openai, request=request)
    messages = [{"role": "user", "content": "How are you?"}]
    with world.open("call.md") as page:
        page.rest()
        with world.app.test_request_context(
            headers={"Authorization": f"Bearer {world.token}"}, json={"question": "How are you?"}
        ):
            model = registry.resolve("gpt-4o")
            for sdk in ("openai", "anthropic", "litellm"):
                assert names[f"ask_with_{sdk}"](model, "How are you?") == "You said: How are you?"
            assert names["view"]("gpt-4o") == {"answer": "You said: How are you?"}
            clients = names["openai_client"](model), names["anthropic_client"](model)
            answers = [
                clients[0].chat.completions.create(model="m", messages=messages),
                clients[1].messages.create(model="m", messages=messages, max_tokens=9),
                names["completion"](model, messages),
            ]
    assert len(answers) == 3
    world.close()


if __name__ == "__main__":
    main(sys.argv[1])
