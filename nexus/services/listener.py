"""A small HTTP server in a thread of this process, for what a chapter or a judge plays itself."""

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

ASKED_EVERY = 0.02
"""Seconds after which it looks whether it should end: closing it waits for that."""


class Handler(BaseHTTPRequestHandler):
    """A handler that writes no log, and replies in one call."""

    def reply(
        self,
        status: int = 200,
        body: bytes = b"",
        *,
        kind: str = "text/plain",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Sends a whole answer.

        Args:
            status: the status code.
            body: what is sent.
            kind: the Content-Type.
            headers: what is sent besides Content-Type and Content-Length.
        """
        self.send_response(status)
        known = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in (*known.items(), *headers.items()):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Listener(ThreadingHTTPServer):
    """It listens on a free port of loopback from the beginning, until it is closed.

    Attributes:
        url: where it listens, such as http://127.0.0.1:40123.
    """

    daemon_threads = True
    request_queue_size = 128  # a crowd that comes at once is not refused

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(
            target=self.serve_forever, args=(ASKED_EVERY,), name="listener", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Ends, and its thread with it; a second time does nothing."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self.close()

    def handle_error(self, *_: object) -> None:
        """Says nothing of a client that has gone."""
