"""A server that responds as all providers do, and keeps what it was sent."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "Fine, thanks."
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
VECTOR = [0.25, 0.5]
#: What Google's server gives for a service account.
ACCESS_TOKEN = "ya29.of-the-stored-account"
MESSAGE = {"role": "assistant", "content": TEXT}


@dataclass(frozen=True)
class Received:
    """A request."""

    path: str
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


def chat(body):
    common = {"id": "chat-1", "created": 1, "model": body["model"]}
    if not body.get("stream"):
        text = json.dumps({"text": TEXT}) if "response_format" in body else TEXT
        message = {**MESSAGE, "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**common, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    choices = [
        {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
        for word in ("Fine,", " thanks.")
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    return [{**common, "object": "chat.completion.chunk", "choices": [each]} for each in choices]


def response(body):
    part = {"type": "output_text", "text": TEXT, "annotations": []}
    output = {"id": "msg-1", "type": "message", "role": "assistant", "status": "completed"}
    whole = {
        "id": "resp-1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": body["model"],
        "output": [{**output, "content": [part]}],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    if not body.get("stream"):
        return whole
    place = {"item_id": "msg-1", "output_index": 0, "content_index": 0}
    return [
        {"type": "response.created", "sequence_number": 0, "response": {**whole, "output": []}},
        {"type": "response.output_text.delta", "sequence_number": 1, "delta": TEXT, **place},
        {"type": "response.completed", "sequence_number": 2, "response": whole},
    ]


def embedding(body):
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [
        {"object": "embedding", "index": number, "embedding": VECTOR}
        for number, _ in enumerate(texts)
    ]
    return {"id": "e-1", "object": "list", "data": data, "model": body["model"], "usage": USAGE}


def message(body):
    return {
        "id": "msg-1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": TEXT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def generated(body):
    return {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": TEXT}]}, "finishReason": "STOP"}
        ],
        "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 2},
    }


def reranked(body):
    return {"id": "r-1", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {}}


# The responses, by the end of the path.
RESPONSES = {
    "/chat/completions": chat,
    "/responses": response,
    "/embeddings": embedding,
    "/images/generations": lambda body: {"created": 1, "data": [{"b64_json": "QUJD"}]},
    "/audio/speech": lambda body: b"mp3",
    "/audio/transcriptions": lambda body: {"text": TEXT},
    "/v1/messages": message,
    ":generateContent": generated,
    ":embedContent": lambda body: {"embedding": {"values": VECTOR}},
    ":batchEmbedContents": lambda body: {"embeddings": [{"values": VECTOR}]},
    "/v2/chat": lambda body: {
        "id": "c-1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": [{"type": "text", "text": TEXT}]},
        "usage": {"tokens": {"input_tokens": 1, "output_tokens": 1}},
    },
    "/v2/embed": lambda body: {"id": "e-1", "embeddings": {"float": [VECTOR]}, "texts": ["x"]},
    "/v1/embed": lambda body: {
        "id": "e-1",
        "embeddings": {"float": [VECTOR]},
        "texts": ["x"],
        "response_type": "embeddings_by_type",
    },
    "/rerank": reranked,
    "/converse": lambda body: {
        "output": {"message": {"role": "assistant", "content": [{"text": TEXT}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        "metrics": {"latencyMs": 1},
    },
    "/token": lambda body: {
        "access_token": ACCESS_TOKEN,
        "expires_in": 3600,
        "token_type": "Bearer",
    },
    "/api/chat": lambda body: {
        "model": body["model"],
        "created_at": "2026-01-01T00:00:00Z",
        "message": MESSAGE,
        "done": True,
        "done_reason": "stop",
    },
    "/api/embed": lambda body: {"model": body["model"], "embeddings": [VECTOR]},
}


class Stub(ThreadingHTTPServer):
    """The server, on a port of 127.0.0.1.

    Attributes:
        fails_with: A status for all requests, and headers; none if it works.
        go_on: Set while streams may send their events.

    Args:
        ssl_context: For TLS; without it, the server speaks plain http.
    """

    daemon_threads = True

    def __init__(self, ssl_context=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        if ssl_context is not None:
            self.socket = ssl_context.wrap_socket(self.socket, server_side=True)
        self.received, self.fails_with, self.go_on = [], None, threading.Event()
        self.go_on.set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://localhost:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunked()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(self.path, headers, body))
        if self.server.fails_with:
            status, more = self.server.fails_with
            self._send(status, b'{"error": {"message": "on purpose"}}', "text/html", **more)
            return
        path = self.path.partition("?")[0]
        found = next((make for end, make in RESPONSES.items() if path.endswith(end)), None)
        if found is None:
            self._send(404, b'{"error": {"message": "no such path"}}', "application/json")
            return
        is_json = headers["content-type"].startswith("application/json")
        answer = found(json.loads(body) if is_json else {})
        if isinstance(answer, list):
            self._stream(answer)
        elif isinstance(answer, bytes):
            self._send(200, answer, "audio/mpeg")
        else:
            self._send(200, json.dumps(answer).encode(), "application/json")

    def do_GET(self):
        self.server.received.append(Received(self.path, dict(self.headers), b""))
        self._send(404, b"{}", "application/json")

    def _chunked(self):
        data = b""
        while size := int(self.rfile.readline() or b"0", 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _stream(self, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in events:
            self.server.go_on.wait(120)
            name = f"event: {event['type']}\n" if "type" in event else ""
            self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n" if "choices" in events[0] else b"")

    def _send(self, status, body, kind, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
