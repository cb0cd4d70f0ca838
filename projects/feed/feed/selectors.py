"""What is read, and who may see it. Every query of posts and comments begins here."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, Exists, Model, OuterRef, Q, QuerySet, Value
from django.db.models.fields import Field

from feed.errors import Refusal, forbidden
from feed.models import Block, Comment, Follow, Like, Post, Report, User

LONGEST_PAGE = 50
RECENT = 1_000
"""Of how many posts the tags are counted."""
Row = TypeVar("Row", bound=Model)
NO: Value = Value(value=False, output_field=BooleanField())


def _not_blocked(queryset: QuerySet[Row], viewer: User | None, column: str) -> QuerySet[Row]:
    """Leave out the rows of users who block the viewer, or whom the viewer blocks.

    Moderators see these rows too.
    """
    if viewer is None:
        return queryset
    if viewer.is_moderator:  # otherwise a block would protect a post from moderation
        return queryset
    author = OuterRef(column)
    return queryset.exclude(
        Exists(Block.objects.filter(blocker=viewer, blocked=author))
        | Exists(Block.objects.filter(blocker=author, blocked=viewer))
    )


def visible(viewer: User | None, posts: QuerySet[Post] | None = None) -> QuerySet[Post]:
    """Return the posts that a viewer may see.

    A hidden post is seen by its author and by moderators.
    """
    posts = Post.objects.all() if posts is None else posts
    if viewer is None:
        return posts.filter(hidden_at=None)
    if not viewer.is_moderator:
        posts = posts.filter(Q(hidden_at=None) | Q(author=viewer))
    return _not_blocked(posts, viewer, "author_id")


def users(viewer: User | None) -> QuerySet[User]:
    """Return the users, each with `followed`: whether the viewer follows them."""
    mine = Follow.objects.filter(follower=viewer, followed=OuterRef("pk"))
    return User.objects.annotate(followed=Exists(mine) if viewer else NO)


def posts(viewer: User | None) -> QuerySet[Post]:
    """Return the posts that a viewer may see, each with `liked`: whether the viewer likes it."""
    mine = Like.objects.filter(user=viewer, post=OuterRef("pk"))
    return visible(viewer).annotate(liked=Exists(mine) if viewer else NO)


def comments(viewer: User | None) -> QuerySet[Comment]:
    """Return the comments that a viewer may see."""
    return _not_blocked(Comment.objects.all(), viewer, "author_id")


def articles(
    viewer: User | None,
    *,
    tag: str | None = None,
    author: str | None = None,
    liked_by: str | None = None,
) -> QuerySet[Post]:
    """Return the articles that a viewer may see, the newest first. Shares are not among them."""
    found = posts(viewer).filter(original=None).order_by("-id")
    if tag is not None:
        found = found.filter(tags__contains=[tag])
    if author is not None:
        found = found.filter(author__in=User.objects.filter(username__iexact=author))
    if liked_by is not None:
        liker = User.objects.filter(username__iexact=liked_by)
        found = found.filter(Exists(Like.objects.filter(post=OuterRef("pk"), user__in=liker)))
    return found


def tags(viewer: User | None) -> list[str]:
    """Return the tags of the newest posts, those used most first."""
    counts: dict[str, int] = {}
    for listed in articles(viewer).values_list("tags", flat=True)[:RECENT]:
        for tag in listed:
            counts[tag] = counts.get(tag, 0) + 1
    return sorted(counts, key=lambda tag: (-counts[tag], tag))[:100]


def open_reports(viewer: User) -> QuerySet[Report]:
    """Return the reports that are not closed.

    Raises:
        Refusal: If the viewer is no moderator.
    """
    if not viewer.is_moderator:
        raise forbidden("This is for moderators.")
    return Report.objects.filter(closed_at=None)


# -- Pages by keyset: "those before this id" stays right while rows are added and removed.


@dataclass
class Page(Generic[Row]):
    """A page, and the cursor of the next one; None at the end."""

    items: list[Row]
    next: str | None

    @classmethod
    def of(cls, rows: Iterable[Row], first: int) -> "Page[Row]":
        """Make a page of up to `first` + 1 rows. The extra row only shows that more follow."""
        items = list(rows)
        return cls(items[:first], cursor(items[first - 1].pk) if len(items) > first else None)


def cursor(key: int) -> str:
    """Return the text of a cursor."""
    return base64.urlsafe_b64encode(b"before:%d" % key).decode()


def key_of(text: str | None) -> int | None:
    """Return the key in a cursor.

    Raises:
        Refusal: If it is none of ours.
    """
    if text is None:
        return None
    try:
        word, _, number = base64.urlsafe_b64decode(text).decode("ascii").partition(":")
        if word == "before" and number.isdigit() and len(number) < 19:
            return int(number)
    except ValueError:
        pass
    raise Refusal("This is not a cursor of this list.", "bad_cursor")


def checked(first: int) -> int:
    """Return the length of a page.

    Raises:
        Refusal: If it is too long, or no length.
    """
    if not 1 <= first <= LONGEST_PAGE:
        raise Refusal(f"first is from 1 to {LONGEST_PAGE}.", "bad_page")
    return first


def before(queryset: QuerySet[Row], after: str | None) -> QuerySet[Row]:
    """Return rows from the newest to the oldest, from a cursor on."""
    key = key_of(after)
    return (queryset if key is None else queryset.filter(pk__lt=key)).order_by("-pk")


def page(queryset: QuerySet[Row], first: int, after: str | None) -> Page[Row]:
    """Return one page."""
    return Page.of(before(queryset, after)[: checked(first) + 1], first)


def pages(
    children: QuerySet[Row], column: str, parents: Iterable[int], first: int, after: str | None
) -> dict[int, Page[Row]]:
    """Return one page of children for each parent, with two statements for all.

    The subquery is run for each parent, with its limit, so it reads no more than the page. A
    window function over all children would read each child of a parent.
    """
    parent: Field = children.model._meta.get_field(column)  # type: ignore[assignment, type-arg]
    model: type[Model] = parent.related_model  # type: ignore[assignment]
    of_one = before(children.filter(**{column: OuterRef("pk")}), after).values("pk")
    found = dict(
        model._default_manager.filter(pk__in=set(parents)).values_list(
            "pk", ArraySubquery(of_one[: checked(first) + 1])
        )
    )
    rows = children.in_bulk({key for keys in found.values() for key in keys})
    return {p: Page.of([rows[k] for k in keys if k in rows], first) for p, keys in found.items()}
