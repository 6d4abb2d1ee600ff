"""Run as a program: read the page of calls, with the SDKs; they change what is around them."""

import asyncio
import sys
from pathlib import Path

import anthropic
import litellm
import openai
from flask import abort, request

from tests.doc_runner import World
from tests.upstream import WORDS, streams


async def gathered(words):
    return [word async for word in words]


def main(folder):
    world = World(Path(folder))
    registry, names = world.names["registry"], world.names
    names.update(anthropic=anthropic, litellm=litellm, openai=openai)
    names.update(abort=abort, request=request)
    with world.open("call.md") as page:
        page.rest()
        with world.app.test_request_context(
            headers={"Authorization": f"Bearer {world.token}"}, json={"question": "How are you?"}
        ):
            model = registry.resolve("gpt-4o")
            for sdk in ("openai", "anthropic", "litellm"):
                assert names[f"ask_with_{sdk}"](model, "How are you?") == "You said: How are you?"
            assert names["view"]("gpt-4o") == {"answer": "You said: How are you?"}
            world.upstream.handler = streams
            assert (
                asyncio.run(gathered(names["stream_with_openai"](model, "How are you?"))) == WORDS
            )
    world.close()


if __name__ == "__main__":
    main(sys.argv[1])
