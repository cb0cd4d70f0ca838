"""Measure the two timelines and the counters: `make bench`.

It fills a test database of its own and drops it at the end. Times differ between machines, so read
the ratios. Rows and bytes of write-ahead log hardly differ.
"""

# ruff: noqa: T201, S608 - it prints; the only values in its SQL are its own numbers
import os
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import django
from django.db import connection, connections
from django.test.utils import override_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feed.settings")
django.setup()

from feed import inputs, selectors, services, timelines  # noqa: E402
from feed.models import Follow, Like, Post, User  # noqa: E402

AUTHORS, POSTS_OF_EACH, USERS = 2_000, 100, 102_004
LIVELY = 1_900
"""The authors after these were there first, and have posted nothing since."""
READERS = [
    ("10", 10, 500),
    ("100", 100, 500),
    ("1,000", 1_000, 500),
    ("100, long quiet", 100, LIVELY + 1),
]
"""Whom the readers follow: in words, how many, and from which author on."""
FOLLOWERS = (10, 1_000, 100_000)
PAGE = 20
LIKES = 100_000
NEW = inputs.NewPost(title="Measured", description="Measured", body="Measured", tagList=["bench"])


def sql(statement: str) -> Any:
    """Execute a statement, and return the first value of what it returns."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def fill() -> None:
    """Fill the database. Each author posts in turn, so nobody's posts lie together."""
    sql("SET statement_timeout = 0")
    sql(
        "INSERT INTO feed_user (id, username, email, password, bio, image, is_active, is_moderator)"
        f" SELECT i, 'u' || i, 'u' || i || '@example.com', '', '', '', true, false"
        f" FROM generate_series(1, {USERS}) i"
    )
    for first, count in ((LIVELY + 1, AUTHORS - LIVELY), (1, LIVELY)):
        sql(
            "INSERT INTO feed_post (author_id, slug, title, description, body, tags,"
            " created_at, updated_at)"
            f" SELECT i % {count} + {first}, 'p{first}-' || i, 'Title', 'About',"
            " repeat('Some text. ', 50), '{}', now(), now()"
            f" FROM generate_series(1, {count * POSTS_OF_EACH}) i"
        )
    for place, (_, count, first) in enumerate(READERS):  # the readers are the last users
        sql(
            "INSERT INTO feed_follow (follower_id, followed_id)"
            f" SELECT {USERS - place}, i + {first} FROM generate_series(0, {count} - 1) i"
        )
    for place, count in enumerate(FOLLOWERS, start=1):  # the celebrity is one of the first authors
        sql(
            "INSERT INTO feed_follow (follower_id, followed_id) SELECT i, "
            f"{place} FROM generate_series({AUTHORS + 1}, {AUTHORS + count}) i"
            " ON CONFLICT DO NOTHING"
        )
    sql(
        "INSERT INTO feed_timelineentry (owner_id, post_id, author_id)"
        " SELECT f.follower_id, p.id, p.author_id FROM feed_follow f"
        " JOIN feed_post p ON p.author_id = f.followed_id"
        f" WHERE f.follower_id > {USERS - len(READERS)}"
    )
    sql("VACUUM ANALYZE")


def milliseconds(function: Callable[[], Any], times: int = 15) -> float:
    """Return the median time of a call."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


def plain(viewer: User) -> Any:
    """Return a timeline by one IN and one ORDER BY, as it is written first."""
    followed = Follow.objects.filter(follower=viewer).values("followed")
    return selectors.page(selectors.posts(viewer).filter(author__in=followed), PAGE, None)


def reading() -> None:
    """Measure a page of the timeline."""
    print(f"\nA page of {PAGE}, milliseconds (median of 15):")
    print(f"{'followed':>16} {'on read':>10} {'plain IN':>10} {'on write':>10}")
    for place, (words, _, _) in enumerate(READERS):
        viewer = User.objects.get(pk=USERS - place)
        row = {"plain": milliseconds(lambda v=viewer: plain(v))}  # type: ignore[misc]
        for how in ("read", "write"):
            with override_settings(TIMELINE=how):
                row[how] = milliseconds(lambda v=viewer: timelines.timeline(v, PAGE, None))  # type: ignore[misc]
        print(f"{words:>16} {row['read']:>10.1f} {row['plain']:>10.1f} {row['write']:>10.1f}")


def writing() -> None:
    """Measure a new post."""
    print("\nA new post (median of 5):")
    print(f"{'followers':>10} {'how':>6} {'ms':>9} {'rows':>8} {'log, kB':>9}")
    for place, count in enumerate(FOLLOWERS, start=1):
        author = User.objects.get(pk=place)
        for how in ("read", "write"):
            with override_settings(TIMELINE=how):
                before = sql("SELECT pg_current_wal_insert_lsn() - '0/0'")
                took = milliseconds(lambda a=author: services.create_post(a, NEW), 5)  # type: ignore[misc]
                log = sql("SELECT pg_current_wal_insert_lsn() - '0/0'") - before
            rows = 1 + (author.followers_count if how == "write" else 0)
            print(f"{count:>10,} {how:>6} {took:>9.1f} {rows:>8,} {log / 5 / 1000:>9.1f}")


def counting() -> None:
    """Measure a counter against counting, and likes of one post against likes of many."""
    hot = Post.objects.get(pk=1)
    sql(f"INSERT INTO feed_like (user_id, post_id) SELECT i, 1 FROM generate_series(1, {LIKES}) i")
    sql("VACUUM ANALYZE feed_like")
    column = milliseconds(lambda: Post.objects.values_list("likes_count").get(pk=1))
    counted = milliseconds(lambda: Like.objects.filter(post=hot).count())
    print(f"\nThe likes of a post with {LIKES:,}, milliseconds (median of 15):")
    print(
        f"  the column {column:.2f}, count(*) {counted:.2f}: {counted / column:.0f} times as long"
    )
    for name, target in (("one post", lambda _: 2), ("many posts", lambda i: 100 + i)):
        print(f"  likes per second of {name}, by 8 threads: {likes_per_second(target):,.0f}")


def likes_per_second(target: Callable[[int], int], each: int = 100) -> float:
    """Return how many likes eight threads get through."""
    start = threading.Barrier(9)

    def work(number: int) -> None:
        users = list(User.objects.filter(pk__gt=50_000 + number * each)[:each])
        start.wait()
        for place, user in enumerate(users):
            services.like(user, liked=True, pk=target(number * each + place))
        connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return 8 * each / (time.perf_counter() - began)


def main() -> None:
    """Measure, in a database of its own."""
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        fill()
        print(f"{USERS:,} users, {AUTHORS * POSTS_OF_EACH:,} posts by {AUTHORS:,} authors.")
        reading()
        writing()
        counting()
    finally:
        connections.close_all()
        connection.creation.destroy_test_db(name, verbosity=0)


if __name__ == "__main__":
    main()
