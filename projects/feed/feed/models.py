"""The tables, and what must hold in them.

Counters (`likes_count` and the like) are kept by triggers, see migration 0002. So they are right
whichever code writes the rows, a cascade of deletions included.
"""

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint
from django.db.models.functions import Lower, Upper


def _pair(one: str, other: str, *, name: str) -> list[models.BaseConstraint]:
    """Return the constraints of a relation between users: once only, and not with oneself."""
    return [
        UniqueConstraint(fields=[one, other], name=f"{name}_once"),
        CheckConstraint(condition=~Q(**{one: F(other)}), name=f"{name}_not_oneself"),
    ]


class User(AbstractBaseUser):
    """An account."""

    username = models.CharField(max_length=50)
    email = models.EmailField(unique=True)
    bio = models.TextField(default="", blank=True)
    image = models.TextField(default="", blank=True)
    is_active = models.BooleanField(default=True)
    is_moderator = models.BooleanField(default=False)
    followers_count = models.IntegerField(default=0, db_default=0)

    objects = BaseUserManager()
    USERNAME_FIELD = "email"

    class Meta:  # noqa: D106
        constraints: ClassVar = [
            # Upper and not Lower, because `iexact` compares in upper case. It uses this index.
            UniqueConstraint(Upper("username"), name="user_username_unique"),
            CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower"),
            CheckConstraint(condition=Q(followers_count__gte=0), name="user_followers_count"),
        ]

    def __str__(self) -> str:
        return self.username


class Token(models.Model):
    """What a client sends to say who it is. Only its SHA-256 is stored."""

    digest = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user_id} until {self.expires_at}"


class Attempt(models.Model):
    """How often something was tried within the present window."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.IntegerField()
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.count} until {self.until}"


class Follow(models.Model):
    """One user reads another."""

    follower = models.ForeignKey(User, models.CASCADE, related_name="follows")
    followed = models.ForeignKey(User, models.CASCADE, related_name="followed_by")

    class Meta:  # noqa: D106
        constraints: ClassVar = _pair("follower", "followed", name="follow")

    def __str__(self) -> str:
        return f"{self.follower_id} follows {self.followed_id}"


class Block(models.Model):
    """One user wants nothing to do with another: neither sees the other's posts and comments."""

    blocker = models.ForeignKey(User, models.CASCADE, related_name="blocks")
    blocked = models.ForeignKey(User, models.CASCADE, related_name="blocked_by")

    class Meta:  # noqa: D106
        constraints: ClassVar = _pair("blocker", "blocked", name="block")

    def __str__(self) -> str:
        return f"{self.blocker_id} blocks {self.blocked_id}"


class Post(models.Model):
    """An article, or a share of one: a share has an original, and no text of its own."""

    author = models.ForeignKey(User, models.CASCADE, related_name="posts", db_index=False)
    original = models.ForeignKey("self", models.CASCADE, null=True, related_name="shares")
    slug = models.CharField(max_length=120, null=True, unique=True)  # noqa: DJ001
    title = models.CharField(max_length=200, default="")
    description = models.CharField(max_length=500, default="")
    body = models.TextField(default="")
    tags = ArrayField(models.CharField(max_length=50), default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    hidden_at = models.DateTimeField(null=True)
    likes_count = models.IntegerField(default=0, db_default=0)
    comments_count = models.IntegerField(default=0, db_default=0)
    shares_count = models.IntegerField(default=0, db_default=0)

    class Meta:  # noqa: D106
        constraints: ClassVar = [
            UniqueConstraint(fields=["author", "original"], name="post_shared_once"),
            CheckConstraint(
                condition=Q(original=None, slug__isnull=False) & ~Q(title="") & ~Q(body="")
                | Q(original__isnull=False, slug=None, title="", description="", body="", tags=[]),
                name="post_article_or_share",
            ),
            CheckConstraint(
                condition=Q(likes_count__gte=0, comments_count__gte=0, shares_count__gte=0),
                name="post_counts",
            ),
        ]
        indexes: ClassVar = [
            Index(fields=["author", "-id"], name="post_by_author"),
            GinIndex(fields=["tags"], name="post_by_tag"),
        ]

    def __str__(self) -> str:
        return self.slug or f"share of {self.original_id}"


class Like(models.Model):
    """A user likes a post."""

    user = models.ForeignKey(User, models.CASCADE, related_name="likes", db_index=False)
    post = models.ForeignKey(Post, models.CASCADE, related_name="likes")

    class Meta:  # noqa: D106
        constraints: ClassVar = [UniqueConstraint(fields=["user", "post"], name="like_once")]

    def __str__(self) -> str:
        return f"{self.user_id} likes {self.post_id}"


class Comment(models.Model):
    """What somebody says about a post."""

    post = models.ForeignKey(Post, models.CASCADE, related_name="comments", db_index=False)
    author = models.ForeignKey(User, models.CASCADE, related_name="comments")
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:  # noqa: D106
        constraints: ClassVar = [CheckConstraint(condition=~Q(body=""), name="comment_not_empty")]
        indexes: ClassVar = [Index(fields=["post", "-id"], name="comment_by_post")]

    def __str__(self) -> str:
        return f"{self.author_id} on {self.post_id}"


class Report(models.Model):
    """A user asks the moderators to look at a post."""

    post = models.ForeignKey(Post, models.CASCADE, related_name="reports", db_index=False)
    reporter = models.ForeignKey(User, models.CASCADE, related_name="reports")
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:  # noqa: D106
        constraints: ClassVar = [UniqueConstraint(fields=["post", "reporter"], name="report_once")]
        indexes: ClassVar = [Index(fields=["id"], name="report_open", condition=Q(closed_at=None))]

    def __str__(self) -> str:
        return f"{self.reporter_id} reports {self.post_id}"


class TimelineEntry(models.Model):
    """A post in the timeline of a follower. Filled only if TIMELINE is `write`."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="timeline", db_index=False)
    post = models.ForeignKey(Post, models.CASCADE, related_name="entries")
    author = models.ForeignKey(User, models.CASCADE, related_name="+", db_index=False)

    class Meta:  # noqa: D106
        constraints: ClassVar = [UniqueConstraint(fields=["owner", "post"], name="entry_once")]
        indexes: ClassVar = [Index(fields=["owner", "author"], name="entry_by_author")]

    def __str__(self) -> str:
        return f"{self.post_id} for {self.owner_id}"
