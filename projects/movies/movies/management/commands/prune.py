"""Delete sessions and refresh tokens that nobody can use any more. Run it daily."""

from typing import Any

from django.core.management.base import BaseCommand

from movies.accounts import prune


class Command(BaseCommand):
    """The command."""

    help = "Delete sessions and refresh tokens that nobody can use any more."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        self.stdout.write(f"{prune()} sessions deleted")
