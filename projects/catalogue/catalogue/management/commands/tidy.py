"""`manage.py tidy`: once a day, forget what is over."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from catalogue.models import Attempt
from catalogue.search import relearn


class Command(BaseCommand):
    """Removes expired tokens, old attempts, and words that no product has any more."""

    help = "Remove expired tokens, old attempts to log in, and words that no product has."

    def handle(self, *_: Any, **__: Any) -> None:
        """Remove them."""
        call_command("flushexpiredtokens")
        Attempt.objects.filter(started__lt=timezone.now() - settings.ATTEMPTS_WINDOW).delete()
        relearn()
