"""Views that belong to no application: what a platform asks of a process."""

import logging

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)


def healthz(_: HttpRequest) -> HttpResponse:
    """Answer 200 if this process serves at all. If it does not, restart it.

    This asks nothing of others: no restart of this process mends a database that is down.
    """
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(_: HttpRequest) -> HttpResponse:
    """Answer 200 if this process can ask the database. If it cannot, send it no requests."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        logger.warning("not ready: the database does not answer", exc_info=True)
        return HttpResponse("not ready\n", content_type="text/plain", status=503)
    return HttpResponse("ok\n", content_type="text/plain")
