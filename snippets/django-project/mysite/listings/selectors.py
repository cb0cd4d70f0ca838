"""Reading places."""

from django.db.models import QuerySet

from mysite.listings.models import Place


def listed() -> QuerySet[Place]:
    """Return the places that everybody may see, with their hosts, newest first."""
    return Place.objects.filter(is_listed=True).select_related("host").order_by("-id")
