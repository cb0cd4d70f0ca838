"""Both timelines give the same pages, whatever has happened before."""

import random
from contextlib import suppress
from typing import Any

import pytest

from feed import services, timelines
from feed.errors import Refusal
from feed.models import Post, TimelineEntry
from tests.conftest import Asks, make_post, make_user

pytestmark = pytest.mark.django_db


def everything(viewer: Any, first: int) -> list[int]:
    keys, after = [], None
    while True:
        page = timelines.timeline(viewer, first, after)
        keys += [post.pk for post in page.items]
        after = page.next
        if after is None:
            return keys


@pytest.mark.parametrize("seed", range(3))
def test_both_timelines_are_the_same_after_a_random_history(settings: Any, seed: int) -> None:
    settings.TIMELINE = "write"
    dice = random.Random(seed)
    users = [make_user() for _ in range(6)]
    moderator = make_user(is_moderator=True)
    for _ in range(60):
        one, other = dice.sample(users, 2)
        posts = list(Post.objects.order_by("pk"))
        post = dice.choice(posts) if posts else make_post(one)
        match dice.randrange(8):
            case 0 | 1 | 2:
                make_post(one)
            case 3 | 4:
                if not one.blocks.filter(blocked=other) and not other.blocks.filter(blocked=one):
                    services.follow(one, other.username)
            case 5:
                services.unfollow(one, other.username)
            case 6:
                if post.original_id is None:
                    services.hide(moderator, hidden=dice.random() < 0.5, pk=post.pk)
            case 7:
                what = dice.randrange(3)
                if what == 0:
                    services.delete_post(post.author, pk=post.pk)
                elif what == 1:
                    services.block(one, other.username, blocked=True)
                else:
                    with suppress(Refusal):  # of what is hidden, or of somebody who blocks
                        services.share(one, shared=True, pk=post.pk)
    assert TimelineEntry.objects.exists()
    for viewer in users:
        expected = list(
            Post.objects.filter(author__followed_by__follower=viewer, hidden_at=None)
            .order_by("-pk")
            .values_list("pk", flat=True)
        )
        for how in ("read", "write"):
            settings.TIMELINE = how
            for first in (3, 50):
                assert everything(viewer, first) == expected, how


def test_only_fan_out_on_write_writes_entries(settings: Any) -> None:
    reader, author = make_user(), make_user()
    services.follow(reader, author.username)
    for how, entries in (("read", 0), ("write", 1)):
        settings.TIMELINE = how
        make_post(author)
        assert TimelineEntry.objects.count() == entries


def test_a_timeline_by_offset_has_the_articles_of_those_one_follows(rest: Asks) -> None:
    reader, author, other = make_user(), make_user(), make_user()
    services.follow(reader, author.username)
    slugs = [make_post(author).slug for _ in range(3)]
    services.share(author, shared=True, pk=make_post(other).pk)
    answer = rest("GET", "/articles/feed?limit=2", reader)
    assert [a["slug"] for a in answer["articles"]] == slugs[:0:-1]
    assert answer["articlesCount"] == 3
    assert answer["articles"][0]["author"]["following"] is True
    answer = rest("GET", "/articles/feed?limit=2&offset=2", reader)
    assert [a["slug"] for a in answer["articles"]] == slugs[:1]
