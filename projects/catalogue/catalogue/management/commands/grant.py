"""`manage.py grant EMAIL ROLE`: roles are given here, and nowhere else."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalogue.models import User


class Command(BaseCommand):
    """Gives a role to an account."""

    help = "Give a role to an account: customer, seller or staff."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say whom and what."""
        parser.add_argument("email")
        parser.add_argument("role", choices=User.Role.values)

    def handle(self, *_: Any, **options: Any) -> None:
        """Change the role."""
        rows = User.objects.filter(email=options["email"].lower())
        if not rows.update(role=options["role"]):
            raise CommandError("There is no such account.")
