"""`/metrics`, for Prometheus.

Exported are django-prometheus's figures of requests and the counters of `stays.common.metrics`, of
all gunicorn workers together, and what is looked up when Prometheus asks: the outbox and the
broker's queue. How tasks fare is exported by each Celery worker: see stays.operations.worker.
"""

import os
import secrets
from collections.abc import Iterable

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from stays.operations.health import valkey
from stays.outbox.models import OutboxMessage
from stays.rest.problems import only_reads, problem_response

logger = structlog.get_logger(__name__)


class OutboxCollector(Collector):
    """How many messages wait to be sent, and how long the oldest has."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Ask the database; if it is down there is no figure, rather than a wrong one."""
        try:
            waiting = OutboxMessage.objects.filter(sent_at__isnull=True).aggregate(
                number=Count("id"), oldest=Min("created_at")
            )
        except DatabaseError as error:
            logger.warning("outbox_unknown", error=str(error))
            return
        age = (timezone.now() - waiting["oldest"]).total_seconds() if waiting["oldest"] else 0.0
        yield GaugeMetricFamily(
            "stays_outbox_waiting", "Messages in the outbox that are not sent", waiting["number"]
        )
        yield GaugeMetricFamily(
            "stays_outbox_oldest_seconds", "Age of the oldest message that is not sent", age
        )


class QueueCollector(Collector):
    """How many tasks wait at the broker for a worker."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Ask the broker; if it is down there is no figure."""
        try:
            with valkey(settings.CELERY_BROKER_URL) as client:
                waiting = client.llen("celery")  # the list that is Celery's default queue
        except RedisError as error:
            logger.warning("queue_unknown", error=str(error))
            return
        yield GaugeMetricFamily("stays_queue_waiting", "Tasks that wait for a worker", waiting)


def knows_token(authorization: str) -> bool:
    """Tell whether a header Authorization has METRICS_TOKEN."""
    expected = f"Bearer {settings.METRICS_TOKEN}"
    return secrets.compare_digest(authorization.encode(), expected.encode())


@only_reads
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer Prometheus, if it knows METRICS_TOKEN."""
    if not knows_token(request.headers.get("Authorization", "")):
        response = problem_response(401, "not_authenticated", "This needs a token.")
        response["WWW-Authenticate"] = "Bearer"
        return response
    counted = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # each worker has a part: see gunicorn.conf.py
        counted = CollectorRegistry()
        MultiProcessCollector(counted)
    looked_up = CollectorRegistry()
    looked_up.register(OutboxCollector())
    looked_up.register(QueueCollector())
    page = generate_latest(counted) + generate_latest(looked_up)
    return HttpResponse(page, content_type=CONTENT_TYPE_LATEST)
