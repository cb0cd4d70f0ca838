"""The ASGI application: Django, its services for as long as the process lives, and one limit.

Django's handler knows neither the lifespan protocol nor a limit for bodies that it does not parse:
it writes them to a temporary file before a view is asked.
"""

import os
from contextlib import AsyncExitStack
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "movies.settings")
django_application = get_asgi_application()

from django.conf import settings  # noqa: E402

from movies.problems import problem  # noqa: E402
from movies.services import running  # noqa: E402


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a request, or live."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif status := too_much(dict(scope["headers"])):
        await refuse(status, send)
    else:
        await django_application(scope, receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    """Have the services from start-up to shut-down."""
    async with AsyncExitStack() as stack:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await stack.enter_async_context(running())
                await send({"type": "lifespan.startup.complete"})
            else:
                await stack.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


def too_much(headers: dict[bytes, bytes]) -> int:
    """Return the status for a body that is too long or of no known length, or 0."""
    if b"transfer-encoding" in headers:
        return 411
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 10 or int(length) > settings.MAX_BODY:
        return 413
    return 0


async def refuse(status: int, send: Any) -> None:
    """Answer without reading the body, and close the connection."""
    response = problem(status)
    headers = [(b"content-type", response["Content-Type"].encode()), (b"connection", b"close")]
    headers.append((b"content-length", str(len(response.content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
