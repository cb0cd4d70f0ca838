"""Fill an empty database with a made-up marketplace."""

import secrets
import time
from argparse import ArgumentParser
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from stays.common.errors import Refusal
from stays.seeding import services


class Command(BaseCommand):
    """`manage.py seed`: see data/README.md."""

    help = (
        "Fill an empty database with the marketplace in data/: properties in real cities, made-up "
        "users, bookings, payments, reviews and messages, up to today. It is one transaction: if "
        "it is interrupted, nothing has happened."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--bookings",
            type=int,
            default=services.BOOKINGS,
            help="how many; users and properties grow with them (default: %(default)s)",
        )
        parser.add_argument(
            "--today", type=date.fromisoformat, help="another day than today: YYYY-MM-DD"
        )
        parser.add_argument("--password", help="every user's (default: a random one, printed)")
        parser.add_argument(
            "--if-empty", action="store_true", help="do nothing, successfully, if there is data"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Seed, and tell what there is now."""
        began = time.perf_counter()
        password = options["password"] or secrets.token_urlsafe(9)
        now = datetime.now(UTC)
        if options["today"]:
            now = datetime.combine(options["today"], now.timetz())
        try:
            services.check_permitted()
            if options["if_empty"] and services.holds_data():
                self.stdout.write("There is data already; nothing was done.")
                return
            made = services.seed(now=now, bookings=options["bookings"], password=password)
        except Refusal as refusal:
            raise CommandError(refusal.detail) from refusal
        for name, number in made.items():
            self.stdout.write(f"{number:>10,} {name}")
        self.stdout.write(f"Loaded in {time.perf_counter() - began:.1f} s.")
        self.stdout.write(f"Log in with the password {password} as any of the users, such as")
        for role, email in services.LOG_INS.items():
            self.stdout.write(f"  {email:<20} ({role})")
