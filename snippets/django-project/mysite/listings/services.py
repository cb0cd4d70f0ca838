"""Changing places. Every rule is here once, for views, commands and tasks alike."""

import logging

from django.db import transaction

from mysite.accounts.models import User
from mysite.common.errors import Refused
from mysite.listings.models import Place

MAX_PLACES = 3
"""How many places a host may have."""

logger = logging.getLogger(__name__)


@transaction.atomic
def offer_place(*, host: User, title: str, nightly_minor: int) -> Place:
    """Offer a place.

    Raises:
        Refused: if the host has as many places as are allowed.
    """
    # The lock makes two requests of one host take turns, so the second counts the first's place.
    User.objects.select_for_update(no_key=True).get(pk=host.pk)
    if host.places.count() >= MAX_PLACES:
        raise Refused(f"A host may have {MAX_PLACES} places.")
    place = Place.objects.create(host=host, title=title, nightly_minor=nightly_minor)
    # After the commit: an import that fails later takes this place back, and the log must not lie.
    transaction.on_commit(lambda: logger.info("place %s offered by user %s", place.pk, host.pk))
    return place
