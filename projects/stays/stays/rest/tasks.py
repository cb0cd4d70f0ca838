"""What Celery does for the REST API."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from stays.common.pruning import delete_in_batches
from stays.rest.models import StoredAnswer

KEPT = timedelta(hours=24)


@shared_task(name="rest.forget_answers", expires=86_400)
def forget_answers() -> int:
    """Delete the stored answers that are older than a day."""
    return delete_in_batches(StoredAnswer.objects.filter(created_at__lt=timezone.now() - KEPT))
