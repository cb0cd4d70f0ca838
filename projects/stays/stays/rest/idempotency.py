"""A POST that a client may send again without doing it twice.

A client that sends `Idempotency-Key: <a value of its own>` may repeat the request, with the same
key and body, as often as it has to. It is done once; all further ones get the stored answer, with
the header `Idempotency-Replayed: true`.

All is one transaction: the lock on the key, the effect, and the answer to it. There is an answer
if and only if there is an effect, and a process that dies leaves neither, nor a lock.

Source: draft-ietf-httpapi-idempotency-key-header, for the header and the statuses.
"""

import hashlib
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import connection, transaction
from django.http import HttpResponse
from django.utils.crypto import salted_hmac
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.common.errors import Conflict, TooMany, Unprocessable
from stays.rest.models import StoredAnswer
from stays.rest.openapi import header

Handler = Callable[..., HttpResponse]
KEY = re.compile(r"[!-~]{1,255}")
MAX_BYTES = 64 * 1024
"""An answer that is larger is not stored. GraphQL lets a client ask for one of any size."""
MAX_ANSWERS = 1_000
"""Answers that are stored for one user. After that a key is refused, until some are a day old."""
KEPT_HEADERS = ("Content-Type", "ETag", "Location")
"""What belongs to the answer itself. All others belong to the moment, and are made anew."""
PARAMETERS = [
    header(
        "Idempotency-Key",
        "Any value that the client uses for this one request only. A request with the "
        "same key and body is answered with the stored answer; one with another body with 422; "
        "one that comes while the first still runs with 409. Answers are kept for 24 hours.",
        type={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]{1,255}$"},
    ),
    header(
        "Idempotency-Replayed",
        "There if the answer is a stored one.",
        type={"type": "string", "enum": ["true"]},
        response=[200, 201, 204],
    ),
]


def idempotent(post: Handler) -> Handler:
    """Decorate the `post` of an APIView: the header `Idempotency-Key` works, and is documented.

    Every answer below 500 is stored, refusals too; what a refused request wrote is rolled back.
    Not stored are 5xx and 429, which ask the client to send the same request again. A request
    whose answer is over `MAX_BYTES` is undone and refused. One without the header is handled as if
    the decorator were not there.
    """

    @wraps(post)
    def handle(view: APIView, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if "Idempotency-Key" not in request.headers:
            return post(view, request, *args, **kwargs)
        key = request.headers["Idempotency-Key"]
        if not KEY.fullmatch(key):
            detail = ErrorDetail("1 to 255 visible ASCII characters.", "idempotency_key")
            raise ValidationError({"Idempotency-Key": [detail]})
        client = str(request.user.pk or "anonymous")
        fingerprint = _fingerprint(request)
        with transaction.atomic(durable=True):
            _lock(client, key)
            stored = StoredAnswer.objects.filter(client=client, key=key).first()
            if stored is not None:
                return _replay(stored, fingerprint)
            if (
                request.user.pk
                and StoredAnswer.objects.filter(client=client).count() >= MAX_ANSWERS
            ):
                raise TooMany("Too many answers are stored for you. Send no key.", retry_after=3600)
            response = _answer(view, request, lambda: post(view, request, *args, **kwargs))
            if len(response.content) > MAX_BYTES:
                raise Unprocessable(
                    "The answer would be too large to be stored. Nothing was done: ask for less, "
                    "or send no Idempotency-Key.",
                    code="answer_too_large",
                )
            if response.status_code >= 500 or response.status_code == 429:
                transaction.set_rollback(True)
            else:
                StoredAnswer.objects.create(
                    client=client,
                    key=key,
                    fingerprint=fingerprint,
                    status=response.status_code,
                    headers={
                        name: response[name] for name in KEPT_HEADERS if response.has_header(name)
                    },
                    body=response.content,
                )
        return response

    return extend_schema(parameters=PARAMETERS)(handle)


def _fingerprint(request: Request) -> str:
    """Return what tells whether two requests are the same, however their JSON is written.

    Raises:
        rest_framework.exceptions.ParseError: if the body cannot be read. Such a request has no
            effect that could be repeated.
    """
    body = json.dumps(request.data, sort_keys=True, separators=(",", ":"))
    parts = f"{request.method} {request.get_full_path()}\n{body}"
    # Keyed, for a registration has a password in its body: who has the table alone cannot guess it.
    return salted_hmac(__name__, parts, algorithm="sha256").hexdigest()


def _lock(client: str, key: str) -> None:
    """Lock a client's key until the transaction ends.

    PostgreSQL makes a commit visible before it lets go of the locks: who gets the lock sees the
    answer of the one that had it before.

    Raises:
        Conflict: if another request holds it. This one does not wait: it would hold a process.
    """
    digest = hashlib.sha256(f"idempotency {client} {key}".encode()).digest()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s)",
            [int.from_bytes(digest[:8], "big", signed=True)],
        )
        (locked,) = cursor.fetchone()
    if not locked:
        raise Conflict("A request with this Idempotency-Key is running.", code="request_running")


def _replay(stored: StoredAnswer, fingerprint: str) -> HttpResponse:
    """Return the stored answer.

    Raises:
        Unprocessable: if it is the answer to another request.
    """
    if stored.fingerprint != fingerprint:
        raise Unprocessable(
            "This Idempotency-Key was used for another request.", code="idempotency_key_reused"
        )
    headers = stored.headers | {"Idempotency-Replayed": "true"}
    return HttpResponse(bytes(stored.body), status=stored.status, headers=headers)


def _answer(view: APIView, request: Request, post: Callable[[], HttpResponse]) -> HttpResponse:
    """Run the handler in a savepoint, and return its answer with the body made.

    The savepoint is kept only if the answer is no refusal. The body is made here, not when the
    view has returned, for what it reads to be of the same transaction.
    """

    def rendered(response: HttpResponse) -> HttpResponse:
        if isinstance(response, Response):
            view.finalize_response(request, response).render()
        return response

    try:
        with transaction.atomic():
            response = rendered(post())
            if response.status_code >= 400:
                transaction.set_rollback(True)
    except Exception as error:
        response = rendered(view.handle_exception(error))
    return response
