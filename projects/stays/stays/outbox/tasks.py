"""What keeps the outbox going. Celery beat starts these."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from stays.common.pruning import delete_in_batches
from stays.outbox import services
from stays.outbox.models import OutboxMessage

KEPT = timedelta(days=7)


@shared_task(name="outbox.relay", expires=10)  # the next one does what this would have done
def relay() -> int:
    """Send what waits: what could not be sent at its commit."""
    return services.relay()


@shared_task(name="outbox.prune", expires=86_400)
def prune() -> int:
    """Delete what was sent more than a week ago."""
    return delete_in_batches(OutboxMessage.objects.filter(sent_at__lt=timezone.now() - KEPT))
