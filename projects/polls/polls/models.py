"""Tables. What must never be is refused by the database, also when a program forgets to check.

Triggers in `migrations/0002_triggers.py` complete these constraints: votes in time only, counts in
the transaction of the vote, and no change of a poll after its first vote.
"""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

MOST_OPTIONS = 20


class UUID7(models.Func):
    """PostgreSQL 18's `uuidv7()`: ids in the order of their making, so that pages can follow it."""

    function = "uuidv7"
    arity = 0
    output_field = models.UUIDField()


class ClockTimestamp(models.Func):
    """The database's clock now, not at the beginning of the transaction."""

    function = "clock_timestamp"
    arity = 0
    output_field = models.DateTimeField()


class User(AbstractBaseUser):
    """Who may create polls and vote. Staff may also delete any poll."""

    username = models.CharField(max_length=30, unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    objects = BaseUserManager()
    USERNAME_FIELD = "username"

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                name="user_username_form", condition=Q(username__regex=r"^[a-z0-9_-]{3,30}$")
            )
        ]

    def __str__(self) -> str:
        return self.username


class Token(models.Model):
    """A program's way in. Only its digest is kept, and nobody can log in with that."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.digest[:8]


class Attempt(models.Model):
    """How often somebody tried to log in or to register in the window that runs."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.IntegerField()
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key[:8]}: {self.count}"


class Poll(models.Model):
    """A question.

    A poll takes votes while `closed_at` is null and `closes_at` has not come. `closed_at` is
    written once no vote is under way any more. The owner's request to close writes it, or the first
    request that reads the results after the deadline. From then on the results are final.
    """

    id = models.UUIDField(primary_key=True, db_default=UUID7(), editable=False)
    owner = models.ForeignKey(User, models.PROTECT, related_name="polls", db_index=False)
    question = models.CharField(max_length=200)
    private_results = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    closes_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="poll_question_not_blank", condition=~Q(question="")),
            models.CheckConstraint(
                name="poll_closes_after_start", condition=Q(closes_at__gt=F("created_at"))
            ),
            models.CheckConstraint(
                name="poll_closed_in_time",
                condition=Q(closed_at=None) | Q(closed_at__lte=F("closes_at")),
            ),
        ]
        indexes: ClassVar = [models.Index(name="poll_of_owner", fields=["owner", "-id"])]

    def __str__(self) -> str:
        return self.question


class Option(models.Model):
    """One answer of 2 to 20, and how many chose it.

    Triggers keep `votes`. Nothing else should write it: the database does not refuse that.
    """

    poll = models.ForeignKey(Poll, models.CASCADE, related_name="options", db_index=False)
    position = models.SmallIntegerField()
    text = models.CharField(max_length=100)
    votes = models.BigIntegerField(db_default=0, editable=False)

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(name="option_position", fields=["poll", "position"]),
            models.UniqueConstraint(name="option_text", fields=["poll", "text"]),
            # What the foreign key of a vote refers to: the option must be of the vote's poll.
            models.UniqueConstraint(name="option_of_poll", fields=["poll", "id"]),
            models.CheckConstraint(
                name="option_20_at_most",
                condition=Q(position__gte=1, position__lte=MOST_OPTIONS),
            ),
            models.CheckConstraint(name="option_text_not_blank", condition=~Q(text="")),
            models.CheckConstraint(name="option_votes_not_negative", condition=Q(votes__gte=0)),
        ]

    def __str__(self) -> str:
        return self.text


class Vote(models.Model):
    """One person's choice. The primary key is UNIQUE(poll, voter), and the table's only index.

    A vote refers to its option by (poll, option), which a migration adds, so `poll` and `option`
    need no foreign key of their own. Nobody asks for the votes of one voter over all polls, so
    `voter` needs no index. With CASCADE Django would delete the votes of an option that is deleted;
    with DO_NOTHING it leaves the refusal to the database.
    """

    pk = models.CompositePrimaryKey("poll", "voter")
    poll = models.ForeignKey(Poll, models.DO_NOTHING, db_index=False, db_constraint=False)
    voter = models.ForeignKey(User, models.PROTECT, db_index=False)
    option = models.ForeignKey(Option, models.DO_NOTHING, db_index=False, db_constraint=False)
    cast_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"{self.voter_id} for {self.option_id}"
