"""`manage.py import_places host@example.org places.csv`."""

import csv
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from mysite.accounts.models import User
from mysite.common.errors import Refused
from mysite.listings import services
from mysite.listings.forms import PlaceForm


class Command(BaseCommand):
    """Arguments in, a service, words and an exit status out. There is no rule here."""

    help = "Offers all places of a CSV file (title,nightly_minor) for a host, or none of them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what the command takes."""
        parser.add_argument("email")
        parser.add_argument("file", type=Path)

    def handle(self, *, email: str, file: Path, **_: Any) -> None:
        """Read the file and offer each line's place."""
        try:
            host = User.objects.get_by_natural_key(email)
        except User.DoesNotExist:
            raise CommandError(f"There is no user {email}.") from None
        with file.open(newline="") as lines, transaction.atomic():
            number = 0
            for number, line in enumerate(csv.DictReader(lines), 1):
                form = PlaceForm(line)
                if not form.is_valid():
                    raise CommandError(f"Place {number}: {form.errors.as_json()}")
                try:
                    services.offer_place(host=host, **form.cleaned_data)
                except Refused as refusal:
                    raise CommandError(f"Place {number}: {refusal}") from None
        self.stdout.write(f"{number} places offered.")
