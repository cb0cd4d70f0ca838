"""Serve the site on one's own machine, with the fake behind it unless TMDB_URL names another.

python -m fake_tmdb.run --port 8000
"""

import argparse
import os
from contextlib import ExitStack
from typing import Any

import uvicorn

from fake_tmdb.program import TOKEN, Fake
from fake_tmdb.serving import served


def with_control(fake: Fake) -> Any:
    """Return the site, with the fake's control endpoint."""
    from movies.asgi import application

    async def both(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope.get("path") == "/fake-tmdb/control":
            await fake({**scope, "path": "/control"}, receive, send)
        else:
            await application(scope, receive, send)

    return both


def main() -> None:
    """Serve until the program is asked to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    application: Any = "movies.asgi:application"
    with ExitStack() as stack:
        if os.environ.get("TMDB_URL", "fake") == "fake":
            fake = Fake()
            os.environ["TMDB_URL"] = stack.enter_context(served(fake))
            os.environ["TMDB_TOKEN"] = TOKEN
            application = with_control(fake)
        uvicorn.run(
            application,
            host="127.0.0.1",
            port=arguments.port,
            log_level="warning",
            server_header=False,
        )


if __name__ == "__main__":
    main()
