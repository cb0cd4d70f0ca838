"""What is done in the background."""

import uuid

from celery import shared_task
from django.conf import settings

from stays.listings import services


@shared_task(name="listings.unlist_places")
def unlist_places(host_id: str) -> None:
    """Take the places of a host whose account is gone off the list."""
    services.unlist_places_of(host_id=uuid.UUID(host_id))


@shared_task(name="listings.unlist_deleted_hosts", expires=5 * settings.SWEEP_EVERY)
def unlist_deleted_hosts() -> int:
    """Find places that are still offered though their host's account is gone."""
    return services.unlist_places_of_deleted_hosts()
