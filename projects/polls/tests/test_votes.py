"""The heart: one vote a person, counts that are right, and no vote after the deadline."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from polls.errors import Refusal
from polls.models import Option, Poll, User, Vote
from polls.services import (
    cast_vote,
    close_poll,
    delete_poll,
    edit_poll,
    results,
    results_for,
)
from tests.factories import make_poll, make_user, make_voters, options_of
from tests.racing import (
    ALONE,
    DEADLINE,
    VOTER,
    alone_with,
    background,
    let_the_deadline_pass,
    race,
    until,
    waiting,
)

pytestmark = pytest.mark.django_db(transaction=True)
MANY = 100


def counted(poll: Poll) -> list[int]:
    """The counters, which must be what counting the rows gives."""
    counters = list(Option.objects.filter(poll=poll).values_list("votes", flat=True))
    rows = [Vote.objects.filter(poll=poll, option=option).count() for option in options_of(poll)]
    assert counters == rows
    return counters


def code_of(outcome: Any) -> str:
    return outcome.code if isinstance(outcome, Refusal) else type(outcome).__name__


# -- Counts


def test_read_add_one_and_save_loses_a_vote() -> None:
    """`choice.votes += 1; choice.save()`: both read 0, both write 1."""
    poll = make_poll()
    option = options_of(poll)[0]
    both_have_read = threading.Barrier(2)

    def vote(_: int) -> None:
        choice = Option.objects.get(pk=option)
        both_have_read.wait(DEADLINE)
        choice.votes += 1
        choice.save(update_fields=["votes"])

    assert race(vote, 2) == [None, None]
    assert Option.objects.get(pk=option).votes == 1  # of two


def test_a_hundred_people_vote_at_once_and_each_vote_counts() -> None:
    poll, voters = make_poll(), make_voters(MANY)
    chosen = options_of(poll)
    outcomes = race(
        lambda n: cast_vote(poll_id=poll.pk, voter=voters[n], option_id=chosen[n % 2]), MANY
    )
    assert {code_of(outcome) for outcome in outcomes} == {"Vote"}
    assert counted(poll) == [MANY / 2, MANY / 2]


def test_one_person_votes_a_hundred_times_at_once_and_has_one_vote() -> None:
    poll, voter = make_poll(), make_user()
    chosen = options_of(poll)
    outcomes = race(
        lambda n: cast_vote(poll_id=poll.pk, voter=voter, option_id=chosen[n % 2]), MANY
    )
    assert sorted(map(code_of, outcomes)) == ["Vote"] + ["already_voted"] * (MANY - 1)
    assert sum(counted(poll)) == 1


def test_counts_are_right_whatever_writes() -> None:
    poll, other, voters = make_poll(), make_poll(), make_voters(10)
    tea, coffee = options_of(poll)
    Vote.objects.bulk_create(
        Vote(poll=poll, voter=voter, option_id=tea if n < 7 else coffee)
        for n, voter in enumerate(voters)
    )
    cast_vote(poll_id=other.pk, voter=voters[0], option_id=options_of(other)[0])
    assert counted(poll) == [7, 3]
    Vote.objects.filter(poll=poll, voter__in=voters[:4]).delete()
    assert counted(poll) == [3, 3]
    with transaction.atomic():
        cast_vote(poll_id=poll.pk, voter=voters[0], option_id=tea)
        transaction.set_rollback(True)
    assert counted(poll) == [3, 3]
    assert counted(other) == [1, 0]


def test_a_vote_is_one_statement(django_assert_num_queries: Any) -> None:
    poll, voter = make_poll(), make_user()
    option = options_of(poll)[0]
    with django_assert_num_queries(2):  # the vote, which is its own transaction, and the news of it
        cast_vote(poll_id=poll.pk, voter=voter, option_id=option)


# -- What the database refuses


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("INSERT INTO polls_vote VALUES (now(), {poll}, {tea}, {voter})", "polls_vote_pkey"),
        ("INSERT INTO polls_vote VALUES (now(), {poll}, {other}, {new})", "vote_option_of_poll"),
        ("INSERT INTO polls_vote VALUES (now(), {closed}, {late}, {new})", "vote_in_time"),
        ("UPDATE polls_vote SET option_id = {coffee}", "vote_stays"),
        ("UPDATE polls_option SET text = 'Milk' WHERE id = {tea}", "poll_frozen"),
        ("DELETE FROM polls_option WHERE id = {coffee}", "poll_frozen"),
        ("UPDATE polls_option SET poll_id = {poll}, position = 3 WHERE id = {one}", "option_stays"),
        (
            "INSERT INTO polls_option (poll_id, position, text) VALUES ({poll}, 3, 'Milk')",
            "poll_frozen",
        ),
        ("UPDATE polls_poll SET question = 'Which?' WHERE id = {poll}", "poll_frozen"),
        ("UPDATE polls_poll SET closes_at = now() + '9 h' WHERE id = {poll}", "poll_frozen"),
        ("UPDATE polls_poll SET closed_at = NULL WHERE id = {closed}", "poll_closed"),
        (
            "UPDATE polls_poll SET closes_at = now() - '1 h'::interval WHERE id = {empty}",
            "poll_closes_after_start",
        ),
        ("DELETE FROM polls_option WHERE id = {one}", "poll_two_options"),
        (
            "INSERT INTO polls_poll (owner_id, question, closes_at, private_results)"
            " VALUES ({new}, 'None?', now() + '1 h', false)",
            "poll_two_options",
        ),
        (
            "INSERT INTO polls_option (poll_id, position, text) VALUES ({empty}, 21, 'Milk')",
            "option_20_at_most",
        ),
        (
            "INSERT INTO polls_option (poll_id, position, text) VALUES ({empty}, 3, 'Tea')",
            "option_text",
        ),
        ("UPDATE polls_user SET username = 'Big'", "user_username_form"),
    ],
)
def test_the_database_itself_refuses(statement: str, constraint: str) -> None:
    poll, other, closed, empty, voter = (
        make_poll(), make_poll(), make_poll(), make_poll(), make_user()
    )  # fmt: skip
    tea, coffee = options_of(poll)
    cast_vote(poll_id=poll.pk, voter=voter, option_id=tea)
    close_poll(poll_id=closed.pk, actor=closed.owner)
    names = {
        "poll": f"'{poll.pk}'",
        "closed": f"'{closed.pk}'",
        "empty": f"'{empty.pk}'",
        "tea": tea,
        "coffee": coffee,
        "other": options_of(other)[0],
        "late": options_of(closed)[0],
        "one": options_of(empty)[0],
        "voter": voter.pk,
        "new": make_user().pk,
    }
    columns = "polls_vote (cast_at, poll_id, option_id, voter_id)"
    with pytest.raises(IntegrityError) as refused, connection.cursor() as cursor:
        cursor.execute(statement.replace("polls_vote VALUES", f"{columns} VALUES").format(**names))
    assert refused.value.__cause__.diag.constraint_name == constraint  # type: ignore[union-attr]


def test_a_poll_that_is_over_cannot_be_reopened_by_a_later_deadline() -> None:
    poll = make_poll()
    let_the_deadline_pass(poll.pk)
    with pytest.raises(IntegrityError, match="the poll is closed"):
        Poll.objects.filter(pk=poll.pk).update(private_results=True)


def test_votes_for_what_is_not_there() -> None:
    poll, other, voter = make_poll(), make_poll(), make_user()
    for wrong, option, code in (
        (poll, options_of(other)[0], "unknown_option"),
        (poll, 2**60, "unknown_option"),
        (Poll(pk="01a21859-f6a4-7c50-9e85-34e0b72117b1"), 1, "not_found"),
    ):
        with pytest.raises(Refusal) as refused:
            cast_vote(poll_id=wrong.pk, voter=voter, option_id=option)
        assert refused.value.code == code


# -- The deadline: orders that are forced


def vote_in_background(submit: Any, poll: Poll, voter: User) -> Any:
    return submit(cast_vote, poll_id=poll.pk, voter=voter, option_id=options_of(poll)[0])


def test_a_vote_that_began_in_time_and_waited_past_the_deadline_does_not_count() -> None:
    poll = make_poll()
    with background() as submit:
        with alone_with(poll.pk):
            vote = vote_in_background(submit, poll, make_user())
            until(lambda: waiting(VOTER))
            let_the_deadline_pass(poll.pk)
        with pytest.raises(Refusal, match="closed"):
            vote.result(DEADLINE)
    assert counted(poll) == [0, 0]


def test_a_vote_that_came_in_time_is_waited_for_by_who_reads_final_results() -> None:
    poll, voter = make_poll(), make_user()
    with background() as submit:
        with transaction.atomic():
            cast_vote(poll_id=poll.pk, voter=voter, option_id=options_of(poll)[0])
            submit(let_the_deadline_pass, poll.pk).result(DEADLINE)
            reader = submit(results, [poll.pk])
            until(lambda: waiting(ALONE))
        found = reader.result(DEADLINE)[poll.pk]
    assert (found.total, found.final) == (1, True)
    assert results([poll.pk])[poll.pk] == found


def test_who_closes_a_poll_waits_for_votes_and_later_votes_wait_behind() -> None:
    """With row locks, later votes would go first, and the owner could wait for ever."""
    poll, voter, late = make_poll(), make_user(), make_user()
    with background() as submit:
        with transaction.atomic():
            cast_vote(poll_id=poll.pk, voter=voter, option_id=options_of(poll)[0])
            closing = submit(close_poll, poll_id=poll.pk, actor=poll.owner)
            until(lambda: waiting(ALONE))
            vote = vote_in_background(submit, poll, late)
            until(lambda: waiting(VOTER))
        assert closing.result(DEADLINE).closed_at
        with pytest.raises(Refusal, match="closed"):
            vote.result(DEADLINE)
    assert counted(poll) == [1, 0]


def test_a_poll_closes_once_at_its_deadline_or_before() -> None:
    poll = make_poll()
    outcomes = race(lambda _: close_poll(poll_id=poll.pk, actor=poll.owner), 8)
    assert sorted(map(code_of, outcomes)) == ["Poll"] + ["poll_closed"] * 7
    late = make_poll()
    let_the_deadline_pass(late.pk)
    assert len(set(map(str, race(lambda _: results([late.pk]), 8)))) == 1
    late.refresh_from_db()
    assert late.closed_at == late.closes_at


# -- Editing, until the first vote


def test_an_edit_cannot_move_the_deadline_into_the_past() -> None:
    poll, now = make_poll(), timezone.now()
    Poll.objects.filter(pk=poll.pk).update(created_at=now - timedelta(days=1))
    with pytest.raises(Refusal) as refused:
        edit_poll(poll_id=poll.pk, actor=poll.owner, closes_at=now - timedelta(hours=1))
    assert (refused.value.status, refused.value.code) == (400, "in_the_past")
    poll.refresh_from_db()
    assert poll.closes_at > now


def test_an_edit_waits_for_the_first_vote_and_is_refused() -> None:
    poll = make_poll()
    with background() as submit:
        with transaction.atomic():
            cast_vote(poll_id=poll.pk, voter=make_user(), option_id=options_of(poll)[0])
            edit = submit(edit_poll, poll_id=poll.pk, actor=poll.owner, options=["Milk", "Water"])
            until(lambda: waiting(ALONE))
        with pytest.raises(Refusal, match="votes already"):
            edit.result(DEADLINE)
    assert [option.text for option in poll.options.all()] == ["Tea", "Coffee"]


def test_a_vote_for_an_option_that_was_just_edited_away_does_not_count() -> None:
    poll = make_poll()
    with background() as submit:
        with transaction.atomic():
            edit_poll(poll_id=poll.pk, actor=poll.owner, options=["Milk", "Water", "Tea"])
            vote = submit(_vote_for, poll, "Tea")
            until(lambda: waiting(VOTER))
        with pytest.raises(Refusal) as refused:
            vote.result(DEADLINE)
    assert refused.value.code == "unknown_option"  # the new Tea is another option
    assert counted(poll) == [0, 0, 0]


def _vote_for(poll: Poll, text: str) -> Vote:
    option = Option.objects.get(poll=poll, text=text)
    return cast_vote(poll_id=poll.pk, voter=make_user(), option_id=option.pk)


def test_polls_are_edited_voted_for_closed_and_deleted_at_once_without_deadlocks() -> None:
    poll, staff, voters = make_poll(), make_user(is_staff=True), make_voters(16)
    first = options_of(poll)[0]

    def act(number: int) -> Any:
        if number == 16:
            return edit_poll(poll_id=poll.pk, actor=poll.owner, question="Which?", options="AB")
        if number == 17:
            return close_poll(poll_id=poll.pk, actor=poll.owner)
        if number == 18:
            return delete_poll(poll_id=poll.pk, actor=staff)
        return cast_vote(poll_id=poll.pk, voter=voters[number], option_id=first)

    outcomes = {code_of(outcome) for outcome in race(act, 19)}
    assert outcomes <= {
        "Vote", "Poll", "NoneType", "not_found", "poll_closed", "poll_has_votes", "unknown_option"
    }  # fmt: skip
    assert not Poll.objects.filter(pk=poll.pk).exists()
    assert not Vote.objects.exists()


def test_private_results_are_shown_to_the_owner_until_the_poll_is_closed() -> None:
    poll, other = make_poll(private_results=True), make_user()
    assert results_for(poll.pk, poll.owner).total == 0
    with pytest.raises(Refusal, match="private"):
        results_for(poll.pk, other)
    let_the_deadline_pass(poll.pk)
    assert results_for(poll.pk, other).final
