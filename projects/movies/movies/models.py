"""Users, their sessions, movies and favorites. What must not exist, the database refuses."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now
from pgvector.django import HnswIndex, VectorField

from movies.features import DIMENSIONS


class UserManager(BaseUserManager["User"]):
    """Makes users."""

    def create_user(self, email: str, password: str) -> "User":
        """Make a user, with the password hashed."""
        user = self.model(email=email.lower())
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """Somebody who logs in. There are no roles: each user has their own things, and no others'."""

    last_login = None
    email = models.EmailField(max_length=254)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects: ClassVar[UserManager] = UserManager()
    USERNAME_FIELD = "email"

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(Lower("email"), name="user_email_unique")
        ]


class Session(models.Model):
    """A log-in. An access token names its session, so that logging out takes effect at once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="sessions")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.id)


class RefreshToken(models.Model):
    """The digest of a refresh token. The token itself is known to its owner only."""

    digest = models.CharField(primary_key=True, max_length=64)
    session = models.ForeignKey(Session, models.CASCADE, related_name="refresh_tokens")
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["session"],
                condition=models.Q(used_at=None),
                name="refresh_one_unused_a_session",
            )
        ]

    def __str__(self) -> str:
        return f"of session {self.session_id}"


class Movie(models.Model):
    """What we keep of a movie that somebody likes, or that was imported. Its id is TMDb's."""

    id = models.PositiveIntegerField(primary_key=True)
    title = models.CharField(max_length=500)
    release_date = models.DateField(null=True)
    genre_ids = ArrayField(models.PositiveIntegerField(), default=list)
    vote_average = models.FloatField(default=0)
    vote_count = models.PositiveIntegerField(default=0)
    features = VectorField(dimensions=DIMENSIONS)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                condition=models.Q(vote_average__gte=0, vote_average__lte=10),
                name="movie_vote_average_0_to_10",
            )
        ]
        indexes: ClassVar[list[Any]] = [
            HnswIndex(fields=["features"], name="movie_features", opclasses=["vector_cosine_ops"])
        ]

    def __str__(self) -> str:
        return self.title


class Favorite(models.Model):
    """A user likes a movie, once."""

    user = models.ForeignKey(User, models.CASCADE, related_name="favorites", db_index=False)
    movie = models.ForeignKey(Movie, models.PROTECT, related_name="favorites", db_index=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["user", "movie"], name="favorite_once")
        ]
        indexes: ClassVar[list[Any]] = [
            # Pages of one's own favorites, newest first.
            models.Index(fields=["user", "-id"], name="favorite_newest"),
            # "Who likes this movie" from the index alone.
            models.Index(fields=["movie", "user"], name="favorite_of_movie"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} likes {self.movie_id}"
