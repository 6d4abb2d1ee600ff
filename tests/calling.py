"""Run as a program: call models with the real SDKs, as the documentation does or once did.

DNS is a table. Everything else is real. It is a process of its own, because SDKs change their
surroundings.
"""

import asyncio
import gc
import json
import runpy
import socket
import sys
import threading
from itertools import chain

import anthropic
import litellm
import openai

MESSAGES = [{"role": "user", "content": "How are you?"}]
_real_getaddrinfo = socket.getaddrinfo
connected = []


def watch(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        connected.append([str(args[1][0]), args[1][1]])


class Dns:
    """Answers from a table, in turn; the last answer stays."""

    def __init__(self, names):
        self.names = {name: [*answers] for name, answers in names.items()}
        self.in_loop = []  # look-ups that blocked an event loop

    def __call__(self, host, port, *args, **options):
        host = host.decode() if isinstance(host, bytes) else host
        answers = self.names.get(host)
        if answers is None:
            try:
                return _real_getaddrinfo(
                    host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST
                )
            except socket.gaierror:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
        try:
            asyncio.get_running_loop()
            self.in_loop.append(host)
        except RuntimeError:
            pass
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return list(
            chain.from_iterable(
                _real_getaddrinfo(each, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
                for each in found
            )
        )


class Caller:
    """Calls a model with one SDK, sync or async, streamed or not, guarded or not."""

    def __init__(self, model, case):
        self.model, self.case = model, case
        self.options = {"max_retries": 0, **case.get("options", {})}

    def client(self, kind, kwargs):
        options = dict(self.options)
        if self.case["guarded"]:
            make = self.model.async_http_client if self.case["async"] else self.model.http_client
            options["http_client"] = make(*self.case.get("http_client", ()))
        return kind(**kwargs, **options)

    def call(self):
        """Return the text, or an awaitable of it."""
        return getattr(self, self.case["sdk"])()

    def openai(self):
        kind = openai.AsyncOpenAI if self.case["async"] else openai.OpenAI
        client = self.client(kind, self.model.openai_kwargs())
        return client.chat.completions.create(
            model=self.model.model_name, messages=MESSAGES, stream=self.case["stream"]
        )

    def anthropic(self):
        kind = anthropic.AsyncAnthropic if self.case["async"] else anthropic.Anthropic
        client = self.client(kind, self.model.anthropic_kwargs())
        return client.messages.create(
            model=self.model.model_name,
            messages=MESSAGES,
            max_tokens=9,
            stream=self.case["stream"],
        )

    def litellm(self):
        call = litellm.acompletion if self.case["async"] else litellm.completion
        kwargs = self.model.litellm_kwargs()
        if self.case["guarded"]:
            kind = openai.AsyncOpenAI if self.case["async"] else openai.OpenAI
            client = self.client(kind, self.model.openai_kwargs())
            if self.case.get("knows_the_key"):
                kwargs["client"] = client
            else:
                kwargs = self.model.litellm_kwargs(client)
        return call(**kwargs, messages=MESSAGES, stream=self.case["stream"], max_retries=0)


def text_of(answer):
    if hasattr(answer, "choices"):
        return answer.choices[0].message.content
    return answer.content[0].text


def word_of(event):
    if hasattr(event, "choices"):
        return event.choices[0].delta.content or ""
    return getattr(getattr(event, "delta", None), "text", None) or ""


async def awaited(caller):
    answer = await caller.call()
    if not caller.case["stream"]:
        return text_of(answer)
    return "".join([word_of(event) async for event in answer])


def done(caller):
    if caller.case["async"]:
        return asyncio.run(awaited(caller))
    answer = caller.call()
    return "".join(map(word_of, answer)) if caller.case["stream"] else text_of(answer)


def causes(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def outcome(caller):
    try:
        return {"text": done(caller)}
    except Exception as error:  # whatever an SDK turns it into
        chain = [*causes(error)]
        return {
            "error": type(error).__name__,
            "is_api_error": isinstance(error, (openai.APIError, anthropic.APIError)),
            "status": getattr(error, "status_code", None),
            "causes": [type(each).__name__ for each in chain],
            "results": [each.result for each in chain if hasattr(each, "result")],
            "said": " | ".join(map(str, chain)),
        }


def main(example, names, cases):
    litellm.suppress_debug_info = True
    dns = socket.getaddrinfo = Dns(names)
    host = runpy.run_path(example)
    app, db, registry = host["create_app"](), host["db"], host["registry"]
    app.test_cli_runner().invoke(args=["setup"])
    with app.app_context():
        user = db.session.get(host["User"], 1)
        for number, case in enumerate(cases):
            registry.create(
                user=user,
                model_id=f"m{number}",
                model_provider="anthropic" if case["sdk"] == "anthropic" else "vllm",
                model_name=case.get("model_name", "gpt-4o"),
                base_url=case["base_url"],
                api_key=case["api_key"],
            )
            model = registry.resolve(f"m{number}", user=user)
            print(json.dumps(outcome(Caller(model, case))), flush=True)  # noqa: T201
    gc.collect()  # with warnings as errors
    threading.excepthook = lambda args: None
    print(json.dumps({"in_loop": dns.in_loop, "connected": connected}), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.addaudithook(watch)
    main(*json.load(sys.stdin))
