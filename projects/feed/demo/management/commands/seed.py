"""Fill an empty database with users, posts, likes, comments and follows."""

import json
import random
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from feed import timelines
from feed.models import Comment, Follow, Like, Post, Report, User

PASSWORD = "correct-horse-battery"  # noqa: S105 - for the local run, which prints it
DEMO = {"amara", "tomas", "odile"}
"""The accounts that the local run names. All others have no password that anybody knows."""


class Command(BaseCommand):
    """`manage.py seed`."""

    help = "Fill an empty database with users, posts, likes, comments and follows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the number of posts."""
        parser.add_argument("--posts", type=int, default=400)

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        """Fill the database, unless somebody is in it."""
        if User.objects.exists():
            self.stdout.write("There is data already. Nothing was done.")
            return
        words = json.loads((settings.BASE_DIR / "data" / "words.json").read_text())
        dice = random.Random(2026)  # noqa: S311 - the same data each time
        known, unknown = make_password(PASSWORD), make_password(None)
        users = User.objects.bulk_create(
            User(
                username=name,
                email=f"{name}@example.com",
                password=known if name in DEMO else unknown,
                bio=f"Writes about {dice.choice(words['tags'])}.",
                is_moderator=name == "odile",
            )
            for name in words["names"]
        )
        # The first users are followed by many, and the last by few, as in any network.
        Follow.objects.bulk_create(
            Follow(follower=one, followed=other)
            for one in users
            for place, other in enumerate(users)
            if one != other and dice.random() < 1 / (1 + place / 8)
        )
        posts = [self.post(dice, words, dice.choice(users)) for _ in range(options["posts"])]
        posts = Post.objects.bulk_create(posts)
        shares = {(dice.choice(users), dice.choice(posts)) for _ in range(len(posts) // 10)}
        ordered = sorted(shares, key=lambda pair: (pair[0].pk, pair[1].pk))
        posts += Post.objects.bulk_create(Post(author=u, original=p) for u, p in ordered)
        Like.objects.bulk_create(
            Like(user=user, post=post) for post in posts for user in users if dice.random() < 0.2
        )
        Comment.objects.bulk_create(
            Comment(author=dice.choice(users), post=post, body=dice.choice(words["comments"]))
            for post in posts
            for _ in range(dice.randrange(4))
        )
        Report.objects.create(post=posts[7], reporter=users[1], reason="Is this an advertisement?")
        for post in posts:
            timelines.published(post)
        # Spread over the last weeks. The order is that of the ids, as it is with real posts.
        now = timezone.now()
        for place, post in enumerate(posts):
            post.created_at = post.updated_at = now - timedelta(hours=len(posts) - place)
        Post.objects.bulk_update(posts, ["created_at", "updated_at"], batch_size=500)
        self.stdout.write(f"{len(users)} users and {len(posts)} posts.")

    def post(self, dice: random.Random, words: dict[str, list[str]], author: User) -> Post:
        """Return an article of some words."""
        tags = dice.sample(words["tags"], dice.randrange(1, 4))
        title = f"{dice.choice(words['openings'])} {tags[0]}"
        return Post(
            author=author,
            slug=f"{slugify(title)}-{dice.randbytes(4).hex()}",
            title=title,
            description=dice.choice(words["sentences"]),
            body="\n\n".join(dice.sample(words["sentences"], 5)),
            tags=tags,
        )
