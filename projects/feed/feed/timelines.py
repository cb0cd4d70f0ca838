"""Timelines, by fan-out on read and by fan-out on write.

Both give the same pages, and a test compares them over random histories. Only for a new follower,
fan-out on write goes back no further than `BACKFILL` posts of the author. `TIMELINE` chooses.
README.md has the figures and the reason for `read`.
"""

from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import F, OuterRef, QuerySet, Subquery

from feed import selectors
from feed.models import Follow, Post, TimelineEntry, User

BACKFILL = 100
"""How many posts of a user come into the timeline of a new follower."""


def timeline(viewer: User, first: int, after: str | None) -> selectors.Page[Post]:
    """Return a page of the posts by those whom a user follows, the newest first."""
    find = keys_on_write if settings.TIMELINE == "write" else keys_on_read
    keys = find(viewer, selectors.checked(first) + 1, after)
    # Few keys by number, and no subquery: the planner has nothing to estimate.
    found = selectors.posts(viewer).in_bulk(keys)
    return selectors.Page.of([found[key] for key in keys if key in found], first)


def keys_on_read(viewer: User, limit: int, after: str | None) -> list[int]:
    """Return the keys of a page, by a query over those whom the viewer follows.

    A page of twenty can only have posts by the twenty users whose newest posts are the newest. If
    somebody is not among them, the newest posts of these twenty are all newer. So one probe of the
    index (author, id) finds the newest post of each followed user, and only the first twenty users
    are read further.
    """

    def of(author: str) -> QuerySet[Post, Any]:
        by_author = Post.objects.filter(author=OuterRef(author), hidden_at=None)
        return selectors.before(by_author, after).values("pk")

    authors = (
        Follow.objects.filter(follower=viewer)
        .annotate(newest=Subquery(of("followed")[:1]))
        .order_by(F("newest").desc(nulls_last=True))
        .values("followed")[:limit]
    )
    keys = User.objects.filter(pk__in=authors).values_list(ArraySubquery(of("pk")[:limit]))
    return sorted((key for (some,) in keys for key in some), reverse=True)[:limit]


def keys_on_write(viewer: User, limit: int, after: str | None) -> list[int]:
    """Return the keys of a page, from the copies that were made for the viewer."""
    entries = TimelineEntry.objects.filter(owner=viewer, post__hidden_at=None)
    key = selectors.key_of(after)
    if key is not None:
        entries = entries.filter(post__lt=key)
    return list(entries.order_by("-post_id").values_list("post_id", flat=True)[:limit])


def followed_articles(viewer: User) -> QuerySet[Post]:
    """Return the articles of a timeline, for pages by offset."""
    followed = Follow.objects.filter(follower=viewer).values("followed")
    return selectors.articles(viewer).filter(author__in=followed)


# -- Fan-out on write. The locks are the point: publishing and following meet at the author's row.


def publishing(author: User) -> None:
    """Wait for those who are just following the author, and keep further ones waiting.

    Without this, a follower whose row is not committed yet gets no entry for the post, and its
    backfill does not see the post, which is not committed either. The post would be lost.
    """
    if settings.TIMELINE == "write":
        User.objects.select_for_update(no_key=True).get(pk=author.pk)


def published(post: Post) -> None:
    """Copy a post into the timelines of its author's followers."""
    if settings.TIMELINE == "write":
        with connection.cursor() as sql:
            sql.execute(
                "INSERT INTO feed_timelineentry (owner_id, post_id, author_id)"
                " SELECT follower_id, %s, followed_id FROM feed_follow WHERE followed_id = %s",
                [post.pk, post.author_id],
            )


def followed(follower: User, author: User) -> None:
    """Copy an author's last posts. `services.follow` has locked the author's row before."""
    if settings.TIMELINE == "write":
        last = Post.objects.filter(author=author).order_by("-id")[:BACKFILL]
        TimelineEntry.objects.bulk_create(
            [TimelineEntry(owner=follower, author=author, post=post) for post in last],
            ignore_conflicts=True,
        )


def unfollowed(follower: User, author: User) -> None:
    """Remove an author's posts from a timeline."""
    if settings.TIMELINE == "write":
        TimelineEntry.objects.filter(owner=follower, author=author).delete()
