"""`manage.py seed`: accounts, polls and votes to try things out with."""

import json
import random
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from polls.models import Option, Poll, User, Vote
from polls.services import close_poll, create_poll

PASSWORD = "correct horse battery"  # noqa: S105 (for demonstrations)
PEOPLE = ("ada", "grace", "edsger", "staff")
VOTERS = 200


class Command(BaseCommand):
    """Loads the questions of data/questions.json, with votes drawn by a fixed seed."""

    help = "Load made-up polls and votes, unless there are polls already."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Load them."""
        if Poll.objects.exists():
            self.stdout.write("There are polls already.")
            return
        draw = random.Random(1815)  # noqa: S311 (no secret)
        password = make_password(PASSWORD)
        names = [*PEOPLE, *(f"voter-{number:03}" for number in range(VOTERS))]
        users = User.objects.bulk_create(
            User(
                username=name,
                is_staff=name == "staff",
                password=password if name in PEOPLE else "!",
            )
            for name in names
        )
        owners, voters = users[:3], users[len(PEOPLE) :]
        for number, given in enumerate(
            json.loads((settings.BASE_DIR / "data/questions.json").read_text())
        ):
            poll = create_poll(
                owner=owners[number % len(owners)],
                question=given["question"],
                options=given["options"],
                closes_at=timezone.now() + timedelta(days=number + 1),
                private_results=given.get("private", False),
            )
            choices = list(Option.objects.filter(poll=poll))
            turnout = draw.sample(voters, draw.randint(VOTERS // 4, VOTERS))
            Vote.objects.bulk_create(
                Vote(poll=poll, voter=voter, option=option, cast_at=Now())
                for voter, option in zip(
                    turnout, draw.choices(choices, given["weights"], k=len(turnout)), strict=True
                )
            )
            if given.get("closed"):
                close_poll(poll_id=poll.pk, actor=poll.owner)
        self.stdout.write(f"{Poll.objects.count()} polls, {Vote.objects.count()} votes")
