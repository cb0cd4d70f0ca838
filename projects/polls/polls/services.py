"""What can be done with polls. Pages and API both come here, and decide nothing themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import Least

from polls.errors import Refusal, closed, frozen, no_poll, refusing
from polls.models import ClockTimestamp, Option, Poll, User, Vote

CHANNEL = "polls_changed"
Viewer = User | AnonymousUser


@dataclass(frozen=True)
class Count:
    """An option and how many chose it."""

    id: int
    text: str
    votes: int


@dataclass(frozen=True)
class Results:
    """The counts of a poll at one moment.

    Attributes:
        poll: Which poll.
        final: Whether no vote can come any more, and none is under way.
        private: Whether only the owner may see them now.
        total: All votes.
        options: In the poll's order.
    """

    poll: UUID
    final: bool
    private: bool
    total: int
    options: tuple[Count, ...]

    @property
    def version(self) -> str:
        """Which results these are: votes are never taken back, so their number tells."""
        return f"{self.total}.{'final' if self.final else 'live'}"


# -- Reading


def polls() -> QuerySet[Poll]:
    """All polls, with their owners, and with `is_open` by the database's clock."""
    is_open = ExpressionWrapper(
        Q(closed_at=None, closes_at__gt=ClockTimestamp()), output_field=BooleanField()
    )
    return Poll.objects.select_related("owner").annotate(is_open=is_open)


def page(
    *,
    state: str | None = None,
    owner: str | None = None,
    before: UUID | None = None,
    limit: int = 20,
) -> tuple[list[Poll], UUID | None]:
    """Return one page of polls, the newest first.

    The ids are in the order of their making, so the last one of a page is all that the next page
    needs: the index finds where to go on, however far that is.

    Args:
        state: "open" or "closed", if only those are wanted.
        owner: The name of a user, if only that one's polls are wanted.
        before: Only polls older than this one.
        limit: How many.

    Returns:
        The polls, and where the next page begins, if there is one.
    """
    wanted: QuerySet[Any] = polls().order_by("-id")
    if state:
        wanted = wanted.filter(is_open=state == "open")
    if owner:
        wanted = wanted.filter(owner__username=owner)
    if before:
        wanted = wanted.filter(id__lt=before)
    rows = list(wanted[: limit + 1])
    return rows[:limit], rows[limit - 1].pk if len(rows) > limit else None


def get_poll(poll_id: UUID) -> Poll:
    """Return a poll.

    Raises:
        Refusal: 404, if there is none.
    """
    poll = polls().filter(pk=poll_id).first()
    if poll is None:
        raise no_poll()
    return poll


def owned_poll(poll_id: UUID, actor: Viewer) -> Poll:
    """Return a poll of the actor's own.

    Raises:
        Refusal: 404, if there is none; 403, if it is another's.
    """
    poll = get_poll(poll_id)
    if poll.owner_id != actor.pk:
        raise Refusal(403, "not_owner", "This poll is somebody else's.")
    return poll


def vote_of(poll: Poll, voter: Viewer) -> int | None:
    """Return the option that somebody voted for, if they did."""
    if not voter.is_authenticated:
        return None
    return (
        Vote.objects.filter(poll=poll, voter_id=voter.pk).values_list("option", flat=True).first()
    )


def results(poll_ids: Iterable[UUID]) -> dict[UUID, Results]:
    """Return the results of polls: one query, and another if a deadline has passed.

    Args:
        poll_ids: Which; those that do not exist are left out.
    """
    wanted = list(poll_ids)
    counted = list(
        Option.objects.filter(poll__in=wanted)
        .annotate(
            closed_at=F("poll__closed_at"),
            private=F("poll__private_results"),
            late=ExpressionWrapper(
                Q(poll__closes_at__lte=ClockTimestamp()), output_field=BooleanField()
            ),
        )
        .order_by("poll_id", "position")
    )
    found: dict[UUID, list[Any]] = {}
    for option in counted:
        found.setdefault(option.poll_id, []).append(option)
    unsealed = [poll for poll, (first, *_) in found.items() if first.late and not first.closed_at]
    if unsealed:
        for poll_id in sorted(unsealed):
            seal(poll_id)
        return results(wanted)
    return {
        poll_id: Results(
            poll_id,
            options[0].closed_at is not None,
            options[0].private and options[0].closed_at is None,
            sum(option.votes for option in options),
            tuple(Count(option.pk, option.text, option.votes) for option in options),
        )
        for poll_id, options in found.items()
    }


def may_see_results(poll: Poll, viewer: Viewer) -> bool:
    """Whether somebody may see the counts: while a private poll is open, its owner only."""
    return not (poll.private_results and poll.is_open) or poll.owner_id == viewer.pk  # type: ignore[attr-defined]


def results_for(poll_id: UUID, viewer: Viewer) -> Results:
    """Return the results of a poll for somebody.

    Raises:
        Refusal: 404, if there is no such poll; 403, while its results are private.
    """
    poll = get_poll(poll_id)
    if not may_see_results(poll, viewer):
        raise Refusal(403, "results_private", "The results are private until the poll is closed.")
    return results([poll_id])[poll_id]


def is_owner(poll_id: UUID, viewer: Viewer) -> bool:
    """Whether a poll is the viewer's own."""
    return viewer.is_authenticated and Poll.objects.filter(pk=poll_id, owner=viewer.pk).exists()


def seconds_left(poll_id: UUID) -> float:
    """Return how long a poll is open, by the database's clock; below zero, if it is closed."""
    left = F("closes_at") - ClockTimestamp()
    found = Poll.objects.annotate(left=left).values_list("left", flat=True).get(pk=poll_id)
    return float(found.total_seconds())


# -- Polls

REFUSALS = {
    "poll_closes_after_start": Refusal(
        400, "in_the_past", "The poll must close in the future.", field="closes_at"
    ),
    "option_text": Refusal(400, "duplicate", "Two options are the same.", field="options"),
    "poll_frozen": frozen(),
    "poll_closed": closed(),
}


def create_poll(
    *,
    owner: User,
    question: str,
    options: Sequence[str],
    closes_at: datetime,
    private_results: bool = False,
) -> Poll:
    """Create a poll.

    Raises:
        Refusal: 400, if it closes in the past by the database's clock, or two options are the same.
    """
    with refusing(REFUSALS), transaction.atomic():
        poll = Poll.objects.create(
            owner=owner, question=question, closes_at=closes_at, private_results=private_results
        )
        _add_options(poll.pk, options)
    return get_poll(poll.pk)


def edit_poll(*, poll_id: UUID, actor: User, **changes: Any) -> Poll:
    """Change a poll that has no votes yet. New options replace all of the old ones.

    Args:
        poll_id: Which.
        actor: Who does it.
        changes: Any of `question`, `options`, `closes_at` and `private_results`.

    Raises:
        Refusal: 404; 403, if it is another's; 409, if it has votes or is closed.
    """
    owned_poll(poll_id, actor)
    options = changes.pop("options", None)
    with refusing(REFUSALS), transaction.atomic():
        _be_alone(poll_id)
        if not get_poll(poll_id).is_open:  # type: ignore[attr-defined]
            raise closed()
        if changes:
            Poll.objects.filter(pk=poll_id).update(**changes)
        if options is not None:
            Option.objects.filter(poll=poll_id).delete()
            _add_options(poll_id, options)
    _announce_after_commit(poll_id)  # results that have become private end others' streams
    return get_poll(poll_id)


def _be_alone(poll_id: UUID) -> None:
    """Wait for the votes under way, and keep others out until the transaction ends.

    The triggers take this lock too. It is taken here first, so that every transaction locks in the
    same order: the poll, and then rows. Two transactions that do so cannot deadlock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(polls_lock_key(%s))", [poll_id])


def _add_options(poll_id: UUID, options: Sequence[str]) -> None:
    Option.objects.bulk_create(
        Option(poll_id=poll_id, position=position, text=text)
        for position, text in enumerate(options, start=1)
    )


def delete_poll(*, poll_id: UUID, actor: User) -> None:
    """Delete a poll: its owner before the first vote, staff at any time.

    Raises:
        Refusal: 404; 403, if it is another's; 409, if it has votes and the actor is not staff.
    """
    if not actor.is_staff:
        owned_poll(poll_id, actor)
    with refusing(REFUSALS), transaction.atomic():
        _be_alone(poll_id)
        if actor.is_staff:
            Vote.objects.filter(poll=poll_id).delete()
        Option.objects.filter(poll=poll_id).delete()  # whose trigger refuses it if there are votes
        if not Poll.objects.filter(pk=poll_id).delete()[0]:
            raise no_poll()


def close_poll(*, poll_id: UUID, actor: User) -> Poll:
    """Close a poll before its deadline. It waits for the votes under way.

    Raises:
        Refusal: 404; 403, if it is another's; 409, if it is closed already.
    """
    owned_poll(poll_id, actor)
    with transaction.atomic():
        _be_alone(poll_id)
        now = Least(ClockTimestamp(), F("closes_at"))
        if not Poll.objects.filter(pk=poll_id, closed_at=None).update(closed_at=now):
            raise closed()
    _announce_after_commit(poll_id)
    return get_poll(poll_id)


def seal(poll_id: UUID) -> None:
    """Write that a poll is closed, after its deadline. The results are final from then on.

    A vote may have been accepted just before the deadline, and not be committed yet. This waits for
    it, so final results never change afterwards.
    """
    with transaction.atomic():
        _be_alone(poll_id)
        late = Poll.objects.filter(pk=poll_id, closed_at=None, closes_at__lte=ClockTimestamp())
        late.update(closed_at=F("closes_at"))


# -- Votes


def cast_vote(*, poll_id: UUID, voter: User, option_id: int) -> Vote:
    """Vote. One statement does it all: the row, the check of the clock and the count.

    The statement is a transaction of its own. So PostgreSQL does not hold the lock on the counter
    while it waits for a COMMIT from this program.

    Raises:
        Refusal: 404, if there is no such poll; 409, if the voter has voted, or the poll is closed;
            400, if the option is not of this poll.
    """
    refusals = {
        "vote_poll": no_poll(),
        "polls_vote_pkey": Refusal(409, "already_voted", "You have voted in this poll already."),
        "vote_in_time": closed(),
        "vote_option_of_poll": Refusal(
            400, "unknown_option", "The poll has no such option.", field="option"
        ),
    }
    with refusing(refusals):
        vote = Vote.objects.create(poll_id=poll_id, voter=voter, option_id=option_id)
    _announce_after_commit(poll_id)
    return vote


def _announce_after_commit(poll_id: UUID) -> None:
    """Tell the streams after the commit. If telling them fails, the vote still counts."""
    # A lambda: of a partial, which has no name, Django could not log the failure, and would raise.
    transaction.on_commit(lambda: announce(poll_id), robust=True)


def announce(poll_id: UUID) -> None:
    """Notify all processes that a poll has changed.

    A transaction that has notified somebody commits under a lock of the whole database cluster, so
    the transaction of the vote does not. This one also need not wait for the disk.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, %s)",
            [CHANNEL, str(poll_id)],
        )
