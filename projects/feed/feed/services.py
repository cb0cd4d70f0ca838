"""What is done. Both APIs call these and nothing else to write."""

import hashlib
import secrets
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify
from psycopg.errors import DeadlockDetected, ForeignKeyViolation

from feed import inputs, selectors, timelines
from feed.errors import Refusal, forbidden, not_found, unauthenticated
from feed.models import Attempt, Block, Comment, Follow, Like, Post, Report, Token, User

P = ParamSpec("P")
R = TypeVar("R")
TRIES = 3
"""How often a service is tried, if PostgreSQL ends its transaction because of a deadlock."""
TAKEN = {"user_username_unique": "username", "feed_user_email": "email"}


def write(function: Callable[P, R]) -> Callable[P, R]:
    """Make a transaction of a service, and refusals of what the database refuses.

    If two transactions wait for each other, PostgreSQL ends one of them, and this one is tried
    again. An example is somebody who takes a like back while the author deletes the post.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        for left in reversed(range(TRIES)):
            try:
                return once(*args, **kwargs)
            except OperationalError as error:
                if not left or not isinstance(error.__cause__, DeadlockDetected):
                    raise
        raise AssertionError

    def once(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with transaction.atomic():
                return function(*args, **kwargs)
        except IntegrityError as error:
            for constraint, field in TAKEN.items():
                if constraint in str(error):
                    raise Refusal(f"{field}: has already been taken", "taken") from None
            if isinstance(error.__cause__, ForeignKeyViolation):
                raise not_found("thing any more") from None  # deleted in the meantime
            raise

    return wrapped


# -- Accounts


def attempt(what: str, limit: int) -> None:
    """Count an attempt, and refuse it beyond the limit. One statement, so no count is lost.

    Raises:
        Refusal: If there were too many within the window.
    """
    now = timezone.now()
    with connection.cursor() as sql:
        sql.execute(
            "INSERT INTO feed_attempt AS a (key, count, until) VALUES (%s, 1, %s)"
            " ON CONFLICT (key) DO UPDATE SET"
            " count = CASE WHEN a.until <= %s THEN 1 ELSE a.count + 1 END,"
            " until = CASE WHEN a.until <= %s THEN excluded.until ELSE a.until END"
            " RETURNING count",
            [_digest(what), now + settings.ATTEMPTS_WINDOW, now, now],
        )
        count = sql.fetchone()[0]
    if count == 1:
        Attempt.objects.filter(until__lte=now).delete()
    if count > limit:
        raise Refusal("Too many attempts. Try again later.", "throttled", 429)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _password(text: str, user: User) -> str:
    """Return a password's hash.

    Raises:
        Refusal: If it is too weak.
    """
    try:
        validate_password(text, user)
    except ValidationError as error:
        raise Refusal(f"password: {' '.join(error.messages)}", "weak_password") from None
    return make_password(text)


def register(new: inputs.NewUser, address: str) -> User:
    """Make an account.

    Raises:
        Refusal: If it cannot be made, or after too many attempts from this address.
    """
    attempt(f"registration from {address}", settings.REGISTRATIONS_PER_ADDRESS)
    return _register(new)


@write
def _register(new: inputs.NewUser) -> User:
    user = User(username=new.username, email=new.email)
    user.password = _password(new.password, user)
    user.save()
    return user


def new_token(user: User) -> str:
    """Return a new token of a user. Nobody can read it again, since only its digest is stored."""
    Token.objects.filter(user=user, expires_at__lte=timezone.now()).delete()
    token = secrets.token_urlsafe(32)
    expires_at = timezone.now() + settings.TOKEN_LIFETIME
    Token.objects.create(digest=_digest(token), user=user, expires_at=expires_at)
    return token


def user_of(token: str) -> User | None:
    """Return whose token it is, if it is good."""
    found = Token.objects.select_related("user").filter(
        digest=_digest(token), expires_at__gt=timezone.now(), user__is_active=True
    )
    return next((row.user for row in found), None)


def log_in(given: inputs.LogIn, address: str) -> User:
    """Return the user whose credentials these are.

    Raises:
        Refusal: If they are nobody's, or after too many attempts.
    """
    email = given.email.lower()
    attempt(f"log-in from {address}", settings.LOG_INS_PER_ADDRESS)
    attempt(f"log-in to {email}", settings.LOG_INS_PER_ACCOUNT)
    user = User.objects.filter(email=email, is_active=True).first()
    # One hash in either case: the time does not tell whether there is an account.
    if user is None:
        make_password(given.password)
    elif check_password(given.password, user.password):
        return user
    raise unauthenticated("email or password is invalid")


def log_out(token: str) -> None:
    """End one token."""
    Token.objects.filter(digest=_digest(token)).delete()


@write
def change_user(viewer: User, changes: inputs.UserChanges, token: str) -> User:
    """Change an account. A new password ends all tokens but the one in use."""
    given = changes.given()
    user = User.objects.select_for_update(no_key=True).get(pk=viewer.pk)
    if "password" in given:
        user.password = _password(given.pop("password"), user)
        Token.objects.filter(user=user).exclude(digest=_digest(token)).delete()
    for name, value in given.items():
        setattr(user, name, value)
    user.save(update_fields=["password", *given])  # the counter is the trigger's
    return user


# -- Users and other users


def _lock(*users: User) -> None:
    """Lock the rows of users, always in the order of their keys.

    Without this order, two users who follow each other at the same moment would each hold their own
    row and wait for the other one. PostgreSQL would end one of them: "deadlock detected".
    """
    keys = [user.pk for user in users]
    list(User.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk"))


def find_user(viewer: User | None, username: str) -> User:
    """Return a user, with `followed`.

    Raises:
        Refusal: If there is none.
    """
    user = selectors.users(viewer).filter(username__iexact=username).first()
    if user is None:
        raise not_found("user")
    return user


@write
def follow(viewer: User, username: str) -> User:
    """Follow a user. A second time changes nothing."""
    user = find_user(viewer, username)
    if user.pk == viewer.pk:
        raise Refusal("You cannot follow yourself.", "oneself")
    # Before all checks: nobody can block, or pass the limit, between a check and the new row.
    _lock(viewer, user)
    if Block.objects.filter(
        Q(blocker=viewer, blocked=user) | Q(blocker=user, blocked=viewer)
    ).exists():
        raise not_found("user")
    if viewer.follows.exclude(followed=user).count() >= settings.MAX_FOLLOWED:
        raise Refusal(f"You can follow {settings.MAX_FOLLOWED} users.", "too_many")
    Follow.objects.bulk_create([Follow(follower=viewer, followed=user)], ignore_conflicts=True)
    timelines.followed(viewer, user)
    return find_user(viewer, username)


@write
def unfollow(viewer: User, username: str) -> User:
    """Unfollow a user."""
    user = find_user(viewer, username)
    _lock(viewer, user)
    Follow.objects.filter(follower=viewer, followed=user).delete()
    timelines.unfollowed(viewer, user)
    return find_user(viewer, username)


@write
def block(viewer: User, username: str, *, blocked: bool) -> User:
    """Block a user, which ends that one follows the other; or take it back."""
    user = find_user(viewer, username)
    if user.pk == viewer.pk:
        raise Refusal("You cannot block yourself.", "oneself")
    if not blocked:
        Block.objects.filter(blocker=viewer, blocked=user).delete()
        return user
    _lock(viewer, user)  # a follow at the same moment is over, or sees the block
    Block.objects.bulk_create([Block(blocker=viewer, blocked=user)], ignore_conflicts=True)
    for one, other in ((viewer, user), (user, viewer)):
        Follow.objects.filter(follower=one, followed=other).delete()
        timelines.unfollowed(one, other)
    return find_user(viewer, username)


# -- Posts


def find_post(viewer: User | None, **key: object) -> Post:
    """Return a post that the viewer may see, with `liked`.

    Raises:
        Refusal: If there is none.
    """
    post = selectors.posts(viewer).select_related("author").filter(**key).first()
    if post is None:
        raise not_found("post")
    return post


def _own(viewer: User, **key: object) -> Post:
    """Return a post of the viewer's own, locked.

    Raises:
        Refusal: If there is none, or it is another's.
    """
    post = find_post(viewer, **key)
    if post.author_id != viewer.pk:
        raise forbidden("This is not your post.")
    locked = Post.objects.select_for_update(no_key=True).filter(pk=post.pk).first()
    if locked is None:
        raise not_found("post")
    return locked


def _slug(title: str) -> str:
    """Return a title's slug, with eight random letters that make it unique."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return f"{slugify(title)[:100] or 'post'}-{''.join(secrets.choice(letters) for _ in range(8))}"


@write
def create_post(viewer: User, new: inputs.NewPost) -> Post:
    """Publish an article."""
    timelines.publishing(viewer)
    post = Post.objects.create(author=viewer, slug=_slug(new.title), **new.model_dump())
    timelines.published(post)
    return find_post(viewer, pk=post.pk)


@write
def change_post(viewer: User, changes: inputs.PostChanges, **key: object) -> Post:
    """Change an article. A new title gives it a new slug."""
    post = _own(viewer, **key)
    if post.original_id:
        raise Refusal("A share has no text of its own.", "share")
    given = changes.given()
    if given.get("title", post.title) != post.title:
        given["slug"] = _slug(given["title"])
    for name, value in given.items():
        setattr(post, name, value)
    post.save(update_fields=[*given, "updated_at"])  # the counters are the triggers'
    return find_post(viewer, pk=post.pk)


@write
def delete_post(viewer: User, **key: object) -> None:
    """Delete a post, with its likes, comments and shares."""
    _own(viewer, **key).delete()


@write
def like(viewer: User, *, liked: bool, **key: object) -> Post:
    """Like or unlike a post. A second time changes neither the rows nor the counter."""
    post = find_post(viewer, **key)
    if liked:
        Like.objects.bulk_create([Like(user=viewer, post=post)], ignore_conflicts=True)
    else:
        Like.objects.filter(user=viewer, post=post).delete()
    return find_post(viewer, pk=post.pk)


@write
def share(viewer: User, *, shared: bool, **key: object) -> Post:
    """Share an article with one's followers, or take that back. Returns the article."""
    post = find_post(viewer, **key)
    if post.original_id:
        post = find_post(viewer, pk=post.original_id)  # a share of a share is one of the article
    if shared:
        timelines.publishing(viewer)
        mine, new = Post.objects.get_or_create(author=viewer, original=post)
        if new:
            timelines.published(mine)
    else:
        Post.objects.filter(author=viewer, original=post).delete()
    return find_post(viewer, pk=post.pk)


@write
def add_comment(viewer: User, new: inputs.NewComment, **key: object) -> Comment:
    """Comment on a post."""
    post = find_post(viewer, **key)
    return Comment.objects.create(post=post, author=viewer, body=new.body)


@write
def delete_comment(viewer: User, key: int, **post: object) -> None:
    """Delete a comment: one's own, one under one's own post, or as a moderator any."""
    comment = selectors.comments(viewer).filter(pk=key, **post).select_related("post").first()
    if comment is None:
        raise not_found("comment")
    if viewer.pk not in (comment.author_id, comment.post.author_id) and not viewer.is_moderator:
        raise forbidden("This is not your comment.")
    comment.delete()


# -- Moderation


@write
def report(viewer: User, new: inputs.NewReport, **key: object) -> None:
    """Ask the moderators to look at a post. A second report of one user changes nothing."""
    post = find_post(viewer, **key)
    Report.objects.bulk_create(
        [Report(post=post, reporter=viewer, reason=new.reason)], ignore_conflicts=True
    )


def _moderator(viewer: User) -> None:
    if not viewer.is_moderator:
        raise forbidden("This is for moderators.")


@write
def hide(viewer: User, *, hidden: bool, **key: object) -> Post:
    """Hide a post from all but its author and moderators, or show it. Closes its reports."""
    _moderator(viewer)
    post = find_post(viewer, **key)
    now = timezone.now()
    Post.objects.filter(pk=post.pk).update(hidden_at=now if hidden else None)
    Report.objects.filter(post=post, closed_at=None).update(closed_at=now)
    return find_post(viewer, pk=post.pk)


@write
def suspend(viewer: User, username: str, *, suspended: bool) -> User:
    """Keep a user out, from this moment on, or let them in again."""
    _moderator(viewer)
    user = find_user(viewer, username)
    if user.is_moderator:
        raise forbidden("Moderators are suspended by nobody here.")
    User.objects.filter(pk=user.pk).update(is_active=not suspended)
    if suspended:
        Token.objects.filter(user=user).delete()
    return find_user(viewer, username)
