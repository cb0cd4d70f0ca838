"""Requests that depend on what the client has already, and answers that are for everyone.

Every representation has a strong validator: an ETag that is made of its bytes. A client that has
them sends If-None-Match and gets 304; one that changes something sends If-Match, so that it cannot
undo a change that it has not seen.

Answers to requests without an Authorization header are the same for everyone. They are cached, and
found before DRF begins.

Source: RFC 9110, 8.8.3 and 13; RFC 6585, 3; RFC 9111, 3.5.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from stays.common.cache import cached
from stays.common.errors import PreconditionFailed
from stays.rest.problems import problem_response

CHANGED = "It has changed since it was read. Read it again."
JSON_IS_FINE = re.compile(r"\s*(\*/\*|application/(\*|json))\s*(;\s*q=[0-9.]+\s*)?")
KEPT_IN_304 = ("Cache-Control", "ETag", "Vary")
View = Callable[..., HttpResponseBase]


class PreconditionRequired(APIException):
    """The request needs an If-Match."""

    status_code = 428
    default_code = "precondition_required"
    default_detail = "Send the ETag of what was read as If-Match."


def represent(data: Any, *, version: int = 0) -> tuple[bytes, str]:
    """Return a representation as JSON, and its ETag.

    Args:
        data: What a serializer returns.
        version: Tells states apart whose representations are the same.
    """
    body: bytes = JSONRenderer().render(data)
    digest = hashlib.sha256(b"%d %b" % (version, body)).hexdigest()
    return body, f'"{digest[:32]}"'


def answer(
    request: Request, data: Any, *, version: int = 0, status: int = 200, **headers: str
) -> HttpResponse:
    """Return an answer with a validator.

    Args:
        request: The request. If nobody is signed in, the answer is for everyone.
        data: What a serializer returns.
        version: As for `represent`.
        status: The HTTP status.
        headers: More headers.
    """
    body, etag = represent(data, version=version)
    response = HttpResponse(body, content_type="application/json", status=status, headers=headers)
    response["ETag"] = etag
    # Keep it, but ask each time whether it is still so: places are changed and booked.
    response["Cache-Control"] = (
        "private, no-cache" if request.user.is_authenticated else "public, no-cache"
    )
    response["Vary"] = "Accept, Authorization"
    return response


def if_match(request: Request, *, required: bool) -> Callable[[str], None]:
    """Return the check that a request's If-Match demands, to be made when the row is locked.

    Args:
        request: The request.
        required: Whether it must have one; else it demands nothing without.

    Raises:
        PreconditionRequired: if the request has none, and must.
    """
    header = request.headers.get("If-Match")
    if header is None and required:
        raise PreconditionRequired

    def check(etag: str) -> None:
        if header is not None and not _matches(header, etag):
            raise PreconditionFailed(CHANGED)

    return check


def _matches(header: str, etag: str) -> bool:
    """Tell whether a list of ETags holds one, by the strong comparison."""
    tags = parse_etags(header)
    return tags == ["*"] or etag in tags


def shared(view: View, *, tags: Callable[..., Sequence[str]]) -> View:
    """Cache a DRF view's answers to GET that are for everyone, and answer conditional requests.

    What is stored is the view's own answer, to the byte and with its headers. Answers other than
    200 are not stored: a problem carries the id of its request. Requests that the cache answers are
    not counted by throttles.

    Args:
        view: The view.
        tags: Is called as the view is, and returns what the answer depends on.
    """

    @wraps(view)
    def respond(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return view(request, **kwargs)
        if not _is_for_everyone(request):
            return _conditional(request, view(request, **kwargs))

        def compute() -> bytes:
            return _stored(view(request, **kwargs))

        try:
            response: HttpResponseBase = _restored(
                cached(
                    _key(request),
                    tags=tags(request, **kwargs),
                    seconds=settings.CACHE_SECONDS,
                    compute=compute,
                )
            )
        except _NotShared as error:
            (response,) = error.args
        return _conditional(request, response)

    return respond


class _NotShared(Exception):
    """An answer that is not for the cache; its argument."""


def _is_for_everyone(request: HttpRequest) -> bool:
    """Tell whether nobody in particular asks, and for JSON; all other cases are DRF's."""
    accept = request.META.get("HTTP_ACCEPT", "*/*")
    return "HTTP_AUTHORIZATION" not in request.META and any(
        map(JSON_IS_FINE.fullmatch, accept.split(","))
    )


def _key(request: HttpRequest) -> str:
    """Return the name of an answer: the path and the parameters, in whatever order they come."""
    parts = [request.path, *sorted(request.GET.lists())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _stored(response: HttpResponseBase) -> bytes:
    """Return an answer as bytes: its headers, and its body.

    Raises:
        _NotShared: if the answer itself does not say that it is for everyone.
    """
    if (
        not isinstance(response, HttpResponse)
        or response.status_code != 200
        or not response.get("Cache-Control", "").startswith("public")
    ):
        raise _NotShared(response)
    return json.dumps(dict(response.items())).encode() + b"\n" + response.content


def _restored(stored: bytes) -> HttpResponse:
    """Return the answer that was stored."""
    headers, body = stored.split(b"\n", 1)
    return HttpResponse(body, headers=json.loads(headers))


def _conditional(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Return the answer that the request's conditions lead to; RFC 9110, 13.2.2."""
    etag = response.get("ETag")
    if response.status_code != 200 or etag is None:
        return response
    if (match := request.META.get("HTTP_IF_MATCH")) is not None and not _matches(match, etag):
        return problem_response(412, PreconditionFailed.default_code, CHANGED)
    none_match = request.META.get("HTTP_IF_NONE_MATCH")
    if none_match is not None and _matches(none_match.replace("W/", ""), etag):
        return HttpResponseNotModified(headers={name: response[name] for name in KEPT_IN_304})
    return response
