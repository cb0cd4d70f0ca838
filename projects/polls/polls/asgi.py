"""The application for uvicorn. Pages, API and streams are served by the same process."""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

from polls.problems import MEDIA_TYPE, problem

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "polls.settings")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BodyLimit:
    """Refuses a body that is too large while it comes in, whether it says its length or not.

    Django under ASGI reads a whole body, to a file if it is long, before it asks anybody.
    """

    def __init__(self, application: Any, limit: int) -> None:
        self.application = application
        self.limit = limit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, and count what is read of it."""
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            # Django takes it as the client's end, forgets the body and answers nothing.
            return {"type": "http.disconnect"} if read > self.limit else message

        await self.application(scope, counted, send)
        if read > self.limit:
            detail = f"A body may have {self.limit} bytes at most."
            body = json.dumps(problem(413, "too_large", detail)).encode()
            headers = [(b"content-type", MEDIA_TYPE.encode()), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
            await send({"type": "http.response.body", "body": body})


application = BodyLimit(get_asgi_application(), settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
