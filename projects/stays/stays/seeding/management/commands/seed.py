"""Fill an empty database with a made-up marketplace."""

import secrets
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from stays.common.errors import Refusal
from stays.seeding import services


def _size(text: str) -> int:
    """Read a number of bookings."""
    number = int(text.replace("_", "").replace(",", ""))
    if number < 1:
        raise ArgumentTypeError("at least 1")
    return number


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
            type=_size,
            default=services.BOOKINGS,
            help="how many; users and properties grow with them (default: %(default)s)",
        )
        parser.add_argument(
            "--today", type=date.fromisoformat, help="another day than today: YYYY-MM-DD"
        )
        parser.add_argument("--password", help="every user's (default: a random one, printed)")
        parser.add_argument(
            "--flush", action="store_true", help="remove first what an earlier seed has left"
        )
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
            with tqdm(
                total=options["bookings"],
                unit=" bookings",
                unit_scale=True,
                file=sys.stderr,
                disable=None,  # no bar but on a terminal
                leave=False,
            ) as bar:
                made = services.seed(
                    now=now,
                    bookings=options["bookings"],
                    password=password,
                    flush=options["flush"],
                    on_booking=bar.update,
                )
        except Refusal as refusal:
            hint = " (--flush removes what a seed has left)" if refusal.code == "not_empty" else ""
            raise CommandError(f"{refusal.detail}{hint}") from refusal
        for name, number in made.items():
            self.stdout.write(f"{number:>10,} {name}")
        self.stdout.write(f"Loaded in {time.perf_counter() - began:.1f} s. You can log in as")
        for role, email in services.LOG_INS.items():
            self.stdout.write(f"  {email:<20} {role}")
        self.stdout.write(f"and every other user, with the password {password}")
