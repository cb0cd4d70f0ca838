"""What many do at once. What is asserted, the database guarantees whoever comes first."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection, connections

from feed import inputs, services, timelines
from feed.errors import Refusal
from feed.models import Attempt, Comment, Follow, Like, Post, User
from tests.conftest import make_post, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make calls in threads that start together. Returns what each returned or refused."""
    start = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def work(place: int) -> None:
        start.wait()
        try:
            results[place] = calls[place]()
        except Refusal as refusal:
            results[place] = refusal
        except Exception as error:
            results[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faults = [r for r in results if isinstance(r, Exception) and not isinstance(r, Refusal)]
    assert faults == []
    return results


def wait_until_blocked(number: int) -> None:
    """Wait until so many sessions wait for a lock."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with connection.cursor() as sql:
            # Not pg_stat_activity: a transaction sees one state of that for as long as it lasts.
            sql.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if sql.fetchone()[0] >= number:
                return
    raise TimeoutError("Nobody waits.")


def test_fifty_likes_and_unlikes_at_once_leave_the_count_of_the_rows() -> None:
    post = make_post(make_user())
    users = [make_user() for _ in range(25)]
    for user in users[:10]:
        services.like(user, liked=True, pk=post.pk)
    at_once(
        [lambda u=user: services.like(u, liked=True, pk=post.pk) for user in users]
        + [lambda u=user: services.like(u, liked=False, pk=post.pk) for user in users]
    )
    post.refresh_from_db()
    assert post.likes_count == Like.objects.filter(post=post).count()


def test_one_user_who_likes_twenty_times_at_once_likes_once() -> None:
    post, user = make_post(make_user()), make_user()
    at_once([lambda: services.like(user, liked=True, pk=post.pk)] * 20)
    post.refresh_from_db()
    assert (post.likes_count, Like.objects.count()) == (1, 1)


def test_shares_comments_and_follows_at_once_are_counted_right() -> None:
    author = make_user()
    post = make_post(author)
    users = [make_user() for _ in range(8)]
    text = inputs.NewComment(body="Yes")
    at_once(
        [lambda u=user: services.share(u, shared=True, pk=post.pk) for user in users * 2]
        + [lambda u=user: services.add_comment(u, text, pk=post.pk) for user in users]
        + [lambda u=user: services.follow(u, author.username) for user in users]
        + [lambda u=user: services.unfollow(u, author.username) for user in users]
    )
    post.refresh_from_db()
    author.refresh_from_db()
    assert post.shares_count == Post.objects.filter(original=post).count() == 8
    assert post.comments_count == Comment.objects.count() == 8
    assert author.followers_count == Follow.objects.count()


def test_a_counter_is_right_after_a_cascade() -> None:
    author, user = make_user(), make_user()
    posts = [make_post(author) for _ in range(3)]
    for post in posts:
        services.like(user, liked=True, pk=post.pk)
        services.add_comment(user, inputs.NewComment(body="Yes"), pk=post.pk)
        services.share(user, shared=True, pk=post.pk)
    services.follow(user, author.username)
    user.delete()
    author.refresh_from_db()
    assert author.followers_count == 0
    for post in Post.objects.all():
        assert (post.likes_count, post.comments_count, post.shares_count) == (0, 0, 0)


def test_a_like_of_a_post_that_is_being_deleted_is_refused() -> None:
    author, user = make_user(), make_user()
    post = make_post(author)
    for _ in range(5):
        post = make_post(author)
        _, liked = at_once(
            [
                lambda p=post: services.delete_post(author, pk=p.pk),
                lambda p=post: services.like(user, liked=True, pk=p.pk),
            ]
        )
        assert not Post.objects.filter(pk=post.pk).exists()
        assert not isinstance(liked, Refusal) or liked.code == "not_found"
    assert Like.objects.count() == 0


def test_a_deadlock_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The author has locked the post, and the reader the like. Each then wants what is locked."""
    author, user = make_user(), make_user()
    post = make_post(author)
    services.like(user, liked=True, pk=post.pk)
    locked = threading.Event()
    calls: list[Post] = []
    original = services._own

    def held(*args: Any, **key: Any) -> Post:
        found = original(*args, **key)
        calls.append(found)
        if not locked.is_set():
            locked.set()
            wait_until_blocked(1)
        return found

    monkeypatch.setattr(services, "_own", held)
    deleted, unliked = at_once(
        [
            lambda: services.delete_post(author, pk=post.pk),
            lambda: (locked.wait(), services.like(user, liked=False, pk=post.pk)),
        ]
    )
    assert deleted is None
    assert len(calls) == 2 or unliked.code == "not_found"  # whichever of the two was ended
    assert not Post.objects.exists()


def test_one_name_is_given_once(settings: Any) -> None:
    settings.REGISTRATIONS_PER_ADDRESS = 1000
    results = at_once(
        [
            lambda i=i: services.register(
                inputs.NewUser(
                    username="Twice", email=f"{i}@example.com", password="a-good-pass-phrase"
                ),
                "192.0.2.1",
            )
            for i in range(6)
        ]
    )
    refusals = [result for result in results if isinstance(result, Refusal)]
    assert [refusal.code for refusal in refusals] == ["taken"] * 5
    assert User.objects.count() == 1


def test_attempts_at_once_are_all_counted() -> None:
    results = at_once([lambda: services.attempt("log-in to a@example.com", 10)] * 25)
    assert sum(isinstance(result, Refusal) for result in results) == 15
    assert Attempt.objects.get().count == 25


def test_nobody_follows_more_than_the_limit(settings: Any) -> None:
    settings.MAX_FOLLOWED = 5
    reader = make_user()
    users = [make_user() for _ in range(12)]
    at_once([lambda u=user: services.follow(reader, u.username) for user in users])
    assert reader.follows.count() == 5


@pytest.mark.parametrize("first", ["publish", "follow"])
def test_a_post_reaches_who_follows_just_then(settings: Any, first: str) -> None:
    """Fan-out on write: one of the two is held at the author's row until the other waits there."""
    settings.TIMELINE = "write"
    author, reader = make_user(), make_user()
    one = threading.Event()
    original = timelines.publishing if first == "publish" else timelines.followed

    def held(*users: User) -> None:
        original(*users)
        if not one.is_set():
            one.set()
            wait_until_blocked(1)

    name = "publishing" if first == "publish" else "followed"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timelines, name, held)
        calls = {
            "publish": lambda: make_post(author),
            "follow": lambda: services.follow(reader, author.username),
        }
        other = "follow" if first == "publish" else "publish"
        at_once([calls[first], lambda: (one.wait(), calls[other]())])
    assert len(timelines.timeline(reader, 10, None).items) == 1


def test_two_who_follow_or_block_each_other_at_once_do_not_wait_for_each_other() -> None:
    one, other = make_user(), make_user()
    for _ in range(5):
        pairs = [(one, other.username), (other, one.username)]
        at_once([lambda p=pair: services.follow(*p) for pair in pairs])
        assert Follow.objects.count() == 2
        at_once([lambda p=pair: services.block(*p, blocked=True) for pair in pairs])
        assert Follow.objects.count() == 0
        for pair in pairs:
            services.block(*pair, blocked=False)


def test_nobody_follows_who_blocks_them_just_then() -> None:
    one, other = make_user(), make_user()
    for _ in range(10):
        at_once(
            [
                lambda: services.follow(one, other.username),
                lambda: services.block(other, one.username, blocked=True),
            ]
        )
        assert Follow.objects.count() == 0
        services.block(other, one.username, blocked=False)
