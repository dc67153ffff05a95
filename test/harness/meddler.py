"""A server between moveout and DynamoDB Local that can refuse, spoil and delay: what a bad day looks like on the wire.

    with meddler(dynamodb, refuse("Scan", 400, "AccessDeniedException", "not authorized")) as endpoint: …
"""

import http.client
import json
import threading
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answer:
    def __init__(self, status, body, headers=None):
        self.status, self.body, self.headers = status, body, headers or {}


def error(status, name, message):
    return Answer(status, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{name}", "message": message}).encode())


class Meddler:
    """meddle(operation, body, forward) → Answer, or None for none at all.

    forward() asks the real server, forward(body) with another body; forward.headers are the request's.
    """

    def __init__(self, dynamodb, meddle):
        self.seen = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                operation = self.headers.get("X-Amz-Target", "").rsplit(".", 1)[-1]
                outer.seen.append(operation)

                def forward(body=body):
                    upstream = http.client.HTTPConnection("127.0.0.1", dynamodb.port, timeout=60)
                    headers = {k: v for k, v in self.headers.items() if k.lower() not in ("accept-encoding", "content-length")}
                    upstream.request("POST", self.path, body, headers)
                    response = upstream.getresponse()
                    answer = Answer(response.status, response.read(), dict(response.getheaders()))
                    upstream.close()
                    return answer

                forward.headers = self.headers
                answer = meddle(operation, body, forward)
                if answer is None:  # no answer at all
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                kept = {k: v for k, v in answer.headers.items() if k.lower().startswith("x-am")}
                for name, value in kept.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_):
                """Quiet: the tests print what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def meddler(dynamodb, meddle):
    server = Meddler(dynamodb, meddle)
    try:
        yield server
    finally:
        server.close()


def refuse(refused, status, name, message):
    """One operation always fails with this error; the others pass."""
    return lambda operation, body, forward: error(status, name, message) if operation == refused else forward()


def crc(body):
    return str(zlib.crc32(body) & 0xFFFFFFFF)
