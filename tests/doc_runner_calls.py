"""Run as a program, because SDKs change their surroundings: follow the page about calls."""

import asyncio
import json
import sys
from pathlib import Path

import anthropic
import litellm
import openai
from flask import abort, request

from tests.doc_runner import World
from tests.hosts import PREFIX
from tests.hosts import model as register_body
from tests.upstream import WORDS, streams

# Which model each SDK calls.
SDKS = {"openai": "gpt-4o", "anthropic": "claude", "litellm": "gpt-4o"}


async def gathered(words):
    return [word async for word in words]


def what_was_registered_is_sent(world):
    """With each SDK, in place of an argument of the same name, and until it is cleared."""
    registry, names = world.names["registry"], world.names

    def sent():
        return json.loads(world.upstream.requests[-1].partition("\r\n\r\n")[2])["temperature"]

    for sdk, model_id in SDKS.items():
        registry.update(model_id, temperature=0.25)
        names[f"ask_with_{sdk}"](registry.resolve(model_id), "How are you?")
        assert sent() == 0.25
    model = registry.resolve("gpt-4o")
    names["db"].session.commit()
    client = openai.OpenAI(**model.openai_kwargs(), http_client=model.http_client())
    messages = [{"role": "user", "content": "How are you?"}]
    client.chat.completions.create(**model.call_kwargs(), messages=messages, temperature=1)
    assert sent() == 0.25
    kwargs = model.call_kwargs() | model.litellm_kwargs(client)
    litellm.completion(**kwargs, messages=messages, temperature=1)
    assert sent() == 0.25
    client.chat.completions.create(model=model.model_name, messages=messages, temperature=1)
    assert sent() == 1
    world.client().patch(f"{PREFIX}/5", json={"temperature": None})
    assert registry.resolve("gpt-4o").call_kwargs() == {"model": "gpt-4o"}


def main(folder):
    world = World(Path(folder))
    registry, names = world.names["registry"], world.names
    names.update(anthropic=anthropic, litellm=litellm, openai=openai)
    names.update(abort=abort, request=request)
    with world.open("call.md", "Call it from your code") as page:
        page.rest()
        with world.app.test_request_context(
            headers={"Authorization": f"Bearer {world.token}"}, json={"question": "How are you?"}
        ):
            model = registry.resolve("gpt-4o")
            fields = {"model_provider": "anthropic", "base_url": world.at_upstream}
            registry.create(**register_body(model_id="claude", **fields))
            names["db"].session.commit()
            for sdk, model_id in SDKS.items():
                answer = names[f"ask_with_{sdk}"](registry.resolve(model_id), "How are you?")
                assert answer == "You said: How are you?"
            assert names["view"]("gpt-4o") == {"answer": "You said: How are you?"}
            what_was_registered_is_sent(world)
            world.upstream.handler = streams
            assert (
                asyncio.run(gathered(names["stream_with_openai"](model, "How are you?"))) == WORDS
            )
    world.close()


if __name__ == "__main__":
    main(sys.argv[1])
