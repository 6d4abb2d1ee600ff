"""Servers on real sockets that respond well or badly."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import threading
import time

import waitress

LISTING = b'{"data": [{"id": "gpt-4o-2024-11-20"}, {"id": "other"}]}'


def wait_until(is_so, seconds=120):
    """Wait for something that other threads do; if it doesn't happen, the test fails later."""
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.01)


class Upstream:
    """A server on this machine; its handler gets the socket of each connection."""

    def __init__(self, handler, ssl_context=None, address="127.0.0.1", port=0):
        self.requests, self.connections = [], 0
        self.handler, self._ssl_context = handler, ssl_context
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family)
        self._listener.settimeout(30)
        self.port = self._listener.getsockname()[1]
        self.is_open = True
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while self.is_open:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:  # SDKs that start on a busy machine may take long to connect
                continue
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._handle, args=[connection], daemon=True).start()

    def _handle(self, connection):
        with contextlib.suppress(OSError), connection:
            if self._ssl_context is not None:
                connection = self._ssl_context.wrap_socket(connection, server_side=True)
            with connection:
                self.handler(self, connection)

    def close(self):
        self.is_open = False
        with contextlib.suppress(OSError):  # it is closed already
            self._listener.shutdown(socket.SHUT_RDWR)  # or the thread goes on listening
        self._listener.close()


@contextlib.contextmanager
def served(app):
    """Serve an app with waitress, in a thread; yields the port."""
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=4)

    def run():
        with contextlib.suppress(OSError):  # close() takes its sockets away while it waits for them
            server.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield server.effective_port
    server.close()
    thread.join(10)


def received(upstream, connection):
    """Read one request, and keep it."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return
        data += more
    upstream.requests.append(data.decode())


def answers(body=b"{}", status="200 OK", headers=()):
    """Return a handler that answers every request in the same way."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]

    def handle(upstream, connection):
        received(upstream, connection)
        connection.sendall("\r\n".join(lines).encode() + body)

    return handle


def sends(*pieces, pause=0.05, forever=b""):
    """Return a handler that sends pieces with pauses between, and then one piece for ever."""

    def handle(upstream, connection):
        received(upstream, connection)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        while forever and upstream.is_open:
            connection.sendall(forever)
            time.sleep(pause)

    return handle


def is_silent(upstream, connection):
    """Accept, and say nothing."""
    while upstream.is_open:
        time.sleep(0.05)


def echoes(upstream, connection):
    """Send the request back in the reason, in the headers and in the body."""
    received(upstream, connection)
    line = upstream.requests[-1].replace("\r\n", " ")
    body = line.encode()
    connection.sendall(
        f"HTTP/1.1 200 {line}\r\nX-Echo: {line}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )


def received_whole(upstream, connection):
    """Read one request with its body, keep it, and return what the body is as JSON."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(65536)
    upstream.requests.append(f"{head.decode()}\r\n\r\n{body.decode()}")
    return json.loads(body)


def speaks(upstream, connection):
    """Answer chats as OpenAI and Anthropic do, with the words that were sent."""
    speak(upstream, connection, received_whole(upstream, connection))


def speak(upstream, connection, asked):
    """Answer a chat that was received."""
    content = asked["messages"][0]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    path = upstream.requests[-1].split()[1]
    answer = json.dumps(SPOKEN[path](asked["model"], f"You said: {text}")).encode()
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", "Connection: close"]
    lines += [f"Content-Length: {len(answer)}", "", ""]
    connection.sendall("\r\n".join(lines).encode() + answer)


# The response to a chat, by the path of the request.
SPOKEN = {
    "/v1/chat/completions": lambda model, text: {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    },
    "/v1/messages": lambda model, text: {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}


# Addresses that no name may stand for.
PRIVATE = (
    "127.0.0.1 127.8.8.8 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 "
    "100.100.100.200 168.63.129.16 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 0.0.0.0 "
    "224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 192.88.99.1 ::1 :: fe80::1 fc00::1 fd00:ec2::254 "
    "::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::a00:1 64:ff9b:1::1 2002:7f00:1:: 2001::1 2001:db8::1 ff02::1 "
    "100::1 3fff::1 fec0::1"
).split()


def is_a_bomb(upstream, connection):
    """Send a response of 50 kB that decompresses to 50 MB."""
    bomb = gzip.compress(b"[" * 50_000_000)
    answers(bomb, headers=["Content-Encoding: gzip"])(upstream, connection)


# Kinds of hostile servers, and the result.
HOSTILE = {
    "says nothing": (is_silent, "timeout"),
    "drips its headers": (sends(b"HTTP/1.1 200 OK\r\n", forever=b"X-A: b\r\n"), "timeout"),
    "drips its status": (sends(forever=b"H"), "timeout"),
    "drips its body": (
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", forever=b"x"), "timeout"),
    "drips chunks": (
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", forever=b"1\r\nx\r\n"), "timeout"),
    "never ends its body": (
        sends(b"HTTP/1.1 200 OK\r\n\r\n", forever=b"x" * 1_000_000, pause=0), "too_large"),
    "never ends its headers": (
        sends(b"HTTP/1.1 200 OK\r\n", forever=b"X-A: " + b"b" * 4000 + b"\r\n", pause=0), "too_large"),
    "is in pieces": (
        sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n[\r\n" * 30_000, pause=0), "too_large"),
    "has 101 headers": (answers(headers=[f"X-{i}: {i}" for i in range(100)]), "too_large"),
    "has 500 headers": (answers(headers=[f"X-{i}: {i}" for i in range(500)]), "too_large"),
    "says 100 for ever": (sends(forever=b"HTTP/1.1 100 Continue\r\n\r\n" * 200, pause=0), "too_large"),
    "is compressed": (is_a_bomb, "bad_response"),
    "is no HTTP": (sends(b"220 mail.example.com ESMTP\r\n"), "bad_response"),
    "hangs up": (lambda upstream, connection: connection.recv(1), "bad_response"),
    "breaks off": (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "bad_response"),
    "has two lengths": (
        sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "bad_response"),
}  # fmt: skip


def streams(upstream, connection):
    """Answer chats in events, a few words at a time, as OpenAI and Anthropic do."""
    stream_events(upstream, connection, received_whole(upstream, connection))


def stream_events(upstream, connection, _asked):
    """Answer a chat that was received in events."""
    path = upstream.requests[-1].split()[1]
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Connection: close", "", ""]
    connection.sendall("\r\n".join(lines).encode())
    for event in STREAMED[path]:
        name = f"event: {event['type']}\n" if "type" in event else ""
        connection.sendall(f"{name}data: {json.dumps(event)}\n\n".encode())
        time.sleep(0.01)
    connection.sendall(b"data: [DONE]\n\n" if "chat" in path else b"")


WORDS = ["Well", " and", " you?"]
STREAMED = {
    "/v1/chat/completions": [
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "delta": {"role": "assistant", "content": word},
                    "finish_reason": "stop" if word == WORDS[-1] else None,
                }
            ],
        }
        for word in WORDS
    ],
    "/v1/messages": [
        {
            "type": "message_start",
            "message": {**SPOKEN["/v1/messages"]("m", ""), "content": [], "stop_reason": None},
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": word},
            }
            for word in WORDS
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ],
}
