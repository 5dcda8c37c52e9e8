"""A scripted server on this machine: it speaks the dialects of real ones, as recorded, and has their faults."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Events = list[str | bytes | float]
"""What a stream consists of: data of an event, bytes as they are, or seconds to wait; an empty text breaks it off."""


ANSWER = '{"choices": [{"index": 0, "delta": {"role": "assistant", "content": "4"}, "finish_reason": null}]}'
FINISH = '{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}'


@dataclass
class Script:
    """How the server behaves.

    Attributes:
        answer: the events that answer a request for a chat completion, by its document.
        refuse: an answer in place of a stream, by the document: status, content type and body; None to go on.
        caches: whether it lets its caches be emptied, as vLLM does in its development mode.
        empties: whether it empties them when it says so.
        documents: what it was asked, in order.
        paths: methods and paths of all requests, in order.
    """

    answer: Callable[[dict[str, Any]], Events] = lambda document: [ANSWER, FINISH, "[DONE]"]
    refuse: Callable[[dict[str, Any]], tuple[int, str, str] | None] = lambda document: None
    models: str = json.dumps({"object": "list", "data": [{"id": "tiny"}]})
    caches: bool = True
    empties: bool = True
    documents: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    media: set[str] = field(default_factory=set)
    prompts: set[str] = field(default_factory=set)
    counters: dict[str, int] = field(default_factory=dict)

    def count(self, name: str, number: int) -> None:
        """Raise a counter."""
        self.counters[name] = self.counters.get(name, 0) + number

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The documents of the run itself: those that show media."""
        return [document for document in self.documents if images_of(document)]

    def from_caches(self, document: dict[str, Any]) -> Events:
        """Answer as vLLM does: its caches are counted, and the last event tells how much of the prompt was cached."""
        images, prompt = images_of(document), json.dumps(document["messages"])
        self.count("vllm:mm_cache_queries_total", len(images))
        self.count("vllm:mm_cache_hits_total", sum(image in self.media for image in images))
        tokens = 20 + 100 * len(images)
        cached = tokens - 4 if prompt in self.prompts else 0
        self.count("vllm:prefix_cache_queries_total", tokens)
        self.count("vllm:prefix_cache_hits_total", cached)
        self.media.update(images)
        self.prompts.add(prompt)
        details = {"cached_tokens": cached, "multimodal_tokens": {"image": 100 * len(images)}}
        told = {"prompt_tokens": tokens, "completion_tokens": 2, "prompt_tokens_details": details}
        return [ANSWER, FINISH, json.dumps({"choices": [], "usage": told}), "[DONE]"]


def images_of(document: dict[str, Any]) -> list[str]:
    """The data URIs of a request."""
    parts = [
        part for message in document["messages"] if isinstance(message["content"], list) for part in message["content"]
    ]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


class Handler(BaseHTTPRequestHandler):
    """Answers as the script says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    script: Script

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        script = self.script
        script.paths.append(f"GET {self.path}")
        if self.path == "/v1/models":
            self.say(200, "application/json", script.models)
        elif self.path == "/version":
            self.say(200, "application/json", '{"version": "0.32.0"}')
        elif self.path == "/metrics" and script.counters:
            lines = [
                f'{name}{{engine="0",model_name="tiny"}} {float(value)}' for name, value in script.counters.items()
            ]
            self.say(200, "text/plain; version=0.0.4", "\n".join(lines) + "\n")
        else:
            self.say(404, "application/json", '{"detail":"Not Found"}')

    def do_POST(self) -> None:
        script = self.script
        script.paths.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path in ("/reset_prefix_cache", "/reset_mm_cache") and script.caches:
            if script.empties:
                (script.prompts if "prefix" in self.path else script.media).clear()
            self.say(200, "application/json", '{"success":true}')
            return
        if self.path != "/v1/chat/completions":
            self.say(404, "application/json", '{"detail":"Not Found"}')
            return
        document = json.loads(body)
        script.documents.append(document)
        script.headers.append({name.lower(): value for name, value in self.headers.items()})
        refusal = script.refuse(document)
        if refusal is not None:
            self.say(*refusal)
            return
        self.stream(script.answer(document))

    def say(self, status: int, kind: str, text: str) -> None:
        """Answer with a whole body."""
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if 300 <= status < 400:
            self.send_header("Location", "/v1/elsewhere")
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events: Events) -> None:
        """Answer piece by piece."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            if isinstance(event, float):
                if stopping.wait(event):
                    return
                continue
            if event == "":
                self.close_connection = True
                return
            data = event if isinstance(event, bytes) else f"data: {event}\n\n".encode()
            try:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                self.wfile.flush()
            except OSError:
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")


class Server(ThreadingHTTPServer):
    """Says nothing of clients that went away, which is what tests have them do."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


stopping = threading.Event()


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that runs while the test does; what the test changes in it counts from then on."""
    script = Script()
    stopping.clear()
    server = Server(("127.0.0.1", 0), type("Scripted", (Handler,), {"script": script}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    yield script
    stopping.set()
    server.shutdown()
    server.server_close()
    thread.join()
