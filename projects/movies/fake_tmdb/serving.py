"""The fake behind a real socket."""

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from fake_tmdb.program import Cut, Fake


@contextmanager
def served(fake: Fake, port: int = 0) -> Iterator[str]:
    """Serve the fake from a thread of its own until the block ends, and yield its address."""
    config = uvicorn.Config(
        fake, log_level="critical", lifespan="off", access_log=False, timeout_graceful_shutdown=1
    )
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: not (record.exc_info and isinstance(record.exc_info[1], Cut))
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
