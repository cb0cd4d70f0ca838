"""What each request passes on its way in, and each answer on its way out."""

import logging
from collections.abc import Awaitable, Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import async_only_middleware
from redis.exceptions import RedisError

from movies.problems import problem
from movies.throttle import client_address, over

logger = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

HEADERS = {
    # Swagger UI needs no inline script, and sets no style but through the DOM.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
HEALTH = {"/healthz", "/readyz"}
"""An orchestrator asks by the container's address, whatever the host's name is."""


@async_only_middleware
def front(get_response: GetResponse) -> GetResponse:
    """Return the middleware."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        response = await refusal(request) or await get_response(request)
        is_text = response.get("Content-Type", "text/").startswith("text/")
        if response.status_code >= 400 and is_text:  # Django's or Ninja's own words
            allowed = {"Allow": response["Allow"]} if "Allow" in response else None
            response = problem(response.status_code, headers=allowed)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if isinstance(response, HttpResponse):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response

    return middleware


async def refusal(request: HttpRequest) -> HttpResponseBase | None:
    """Return the answer to a request that may not pass."""
    if request.path in HEALTH:
        return None
    try:
        request.get_host()
    except DisallowedHost:
        return problem(400, "This is not one of our host names.")
    if not request.path.startswith("/api/v1/"):
        return None
    try:
        wait = await over(f"address:{client_address(request)}", settings.REQUEST_LIMIT, 60)
    except RedisError as error:  # a page that comes is better than a limit that holds
        logger.warning("requests are not counted: %s", error)
        wait = 0
    if wait:
        return problem(429, "Too many requests.", headers={"Retry-After": str(wait)})
    has_body = request.META.get("CONTENT_LENGTH", "") not in {"", "0"}
    if has_body and request.content_type != "application/json":
        return problem(415, "Send application/json.")
    return None
