"""The REST API: RealWorld's ("Conduit"), with its names, its forms and its errors."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from django.core.exceptions import RequestDataTooBig
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Path, Query, Status
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import APIKeyHeader
from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel

from feed import inputs, selectors, services, timelines
from feed.errors import Refusal, unauthenticated
from feed.middleware import client_address, refused
from feed.models import Comment, Post, User

logger = logging.getLogger(__name__)
COUNTED = 10_000
"""Neither `articlesCount` nor `offset` goes further. GraphQL's pages go to the end."""


class TokenAuth(APIKeyHeader):
    """`Authorization: Token …`."""

    param_name = "Authorization"

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        """Return whose token it is."""
        word, _, token = (key or "").partition(" ")
        request.token = token  # type: ignore[attr-defined]
        return services.user_of(token) if word == "Token" else None


class NoToken:
    """Stands for nobody where no token is needed. Ninja would take None for a refusal."""


token_auth = TokenAuth()


def anyone(request: HttpRequest) -> User | NoToken | None:
    """Return whose token it is, if one is sent. One that is not good is refused here too."""
    return token_auth(request) if "Authorization" in request.headers else NoToken()


api = NinjaAPI(
    title="Conduit",
    version="1.0.0",
    description="RealWorld's API of this feed. Errors are `{errors: {body: [what is wrong]}}`."
    " For Authorize, write the word `Token`, a space, and the token that a log-in gives.",
    auth=token_auth,
    urls_namespace="rest",
)


def viewer(request: HttpRequest) -> User | None:
    """Return who asks."""
    user = request.auth  # type: ignore[attr-defined]
    return user if isinstance(user, User) else None


def me(request: HttpRequest) -> User:
    """Return who asks, where a token is needed."""
    user: User = request.auth  # type: ignore[attr-defined]
    return user


# -- What goes out

Moment = Annotated[
    datetime,
    PlainSerializer(
        lambda at: at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        return_type=str,
    ),
]


class Out(BaseModel):
    """What goes out, with names in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Account(Out):
    """One's own account."""

    email: str
    token: str
    username: str
    bio: str
    image: str


class Profile(Out):
    """What all may know of a user."""

    username: str
    bio: str
    image: str
    following: bool


class ArticleItem(Out):
    """An article in a list: without its body."""

    slug: str
    title: str
    description: str
    tag_list: list[str]
    created_at: Moment
    updated_at: Moment
    favorited: bool
    favorites_count: int
    author: Profile


class Article(ArticleItem):
    """An article."""

    body: str


class CommentOut(Out):
    """A comment."""

    id: int
    body: str
    created_at: Moment
    updated_at: Moment
    author: Profile


class AccountAnswer(Out):  # noqa: D101
    user: Account


class ProfileAnswer(Out):  # noqa: D101
    profile: Profile


class ArticleAnswer(Out):  # noqa: D101
    article: Article


class ArticlesAnswer(Out):  # noqa: D101
    articles: list[ArticleItem]
    articles_count: int


class CommentAnswer(Out):  # noqa: D101
    comment: CommentOut


class CommentsAnswer(Out):  # noqa: D101
    comments: list[CommentOut]


class TagsAnswer(Out):  # noqa: D101
    tags: list[str]


class Messages(BaseModel):  # noqa: D101
    body: list[str]


class Errors(BaseModel):
    """Why nothing was done."""

    errors: Messages


def account(user: User, token: str) -> AccountAnswer:
    """Return one's own account."""
    own = Account(
        email=user.email, token=token, username=user.username, bio=user.bio, image=user.image
    )
    return AccountAnswer(user=own)


def profile(user: User) -> Profile:
    """Return what all may know of a user that a selector has read."""
    following: bool = user.followed  # type: ignore[attr-defined]
    return Profile(username=user.username, bio=user.bio, image=user.image, following=following)


def article_fields(post: Post, author: User) -> dict[str, Any]:
    """Return the fields of an article in a list."""
    return {
        **{name: getattr(post, name) for name in ("slug", "title", "description")},
        "tag_list": post.tags,
        "created_at": post.created_at,
        "updated_at": post.updated_at,
        "favorited": post.liked,  # type: ignore[attr-defined]
        "favorites_count": post.likes_count,
        "author": profile(author),
    }


def authors(who: User | None, rows: Iterable[Post | Comment]) -> dict[int, User]:
    """Return the authors of rows, with one statement."""
    return selectors.users(who).in_bulk({row.author_id for row in rows})


def article(request: HttpRequest, post: Post) -> ArticleAnswer:
    """Return one article."""
    author = authors(viewer(request), [post])[post.author_id]
    return ArticleAnswer(article=Article(body=post.body, **article_fields(post, author)))


def articles(who: User | None, found: QuerySet[Post], limit: int, offset: int) -> ArticlesAnswer:
    """Return a page of articles."""
    rows = list(found.defer("body")[offset : offset + limit])
    by_id = authors(who, rows)
    return ArticlesAnswer(
        articles=[ArticleItem(**article_fields(row, by_id[row.author_id])) for row in rows],
        articles_count=found.order_by()[:COUNTED].count(),
    )


# -- Errors


@api.exception_handler(Refusal)
def on_refusal(request: HttpRequest, error: Refusal) -> HttpResponse:  # noqa: ARG001
    """Say what a service refuses."""
    response = refused(error.status, *error.detail.split("; "))
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Token"
    return response


@api.exception_handler(AuthenticationError)
def on_no_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:  # noqa: ARG001
    """Say that this needs a token."""
    return on_refusal(request, unauthenticated("This needs a valid token."))


@api.exception_handler(ValidationError)
def on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:  # noqa: ARG001
    """Say what is wrong with the input."""
    return refused(422, *inputs.faults(error.errors))


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:  # noqa: ARG001
    """Say what Ninja refuses: a body that is no JSON."""
    return refused(error.status_code, str(error))


@api.exception_handler(DataError)
def on_data_error(request: HttpRequest, error: DataError) -> HttpResponse:  # noqa: ARG001
    """Say that PostgreSQL has no such text: one with NUL in it."""
    return refused(422, "A text has a character that cannot be stored.")


@api.exception_handler(RequestDataTooBig)
def on_too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:  # noqa: ARG001
    """Say that the body is too long."""
    return refused(413, "The body is too long.")


@api.exception_handler(Exception)
def on_fault(request: HttpRequest, error: Exception) -> HttpResponse:
    """Log what nobody foresaw, and tell the client nothing of it."""
    logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return refused(500, "Something went wrong here.")


def answers(model: Any, status: int = 200, *refusals: int) -> dict[str, Any]:
    """Return what a route's decorator needs: which answers there are."""
    errors = dict.fromkeys(sorted({400, 401, 413, 422, 500, *refusals}), Errors)
    return {"response": {status: model, **errors}, "by_alias": True}


# -- Accounts


class NewUserBody(BaseModel):  # noqa: D101
    user: inputs.NewUser


class LogInBody(BaseModel):  # noqa: D101
    user: inputs.LogIn


class UserBody(BaseModel):  # noqa: D101
    user: inputs.UserChanges


@api.post("/users", auth=None, tags=["User"], **answers(AccountAnswer, 201, 429))
def register(request: HttpRequest, body: NewUserBody) -> Any:
    """Make an account."""
    user = services.register(body.user, client_address(request))
    return Status(201, account(user, services.new_token(user)))


@api.post("/users/login", auth=None, tags=["User"], **answers(AccountAnswer, 200, 429))
def log_in(request: HttpRequest, body: LogInBody) -> Any:
    """Log in."""
    user = services.log_in(body.user, client_address(request))
    return account(user, services.new_token(user))


@api.get("/user", tags=["User"], **answers(AccountAnswer))
def current_user(request: HttpRequest) -> Any:
    """Return one's own account."""
    return account(me(request), request.token)  # type: ignore[attr-defined]


@api.put("/user", tags=["User"], **answers(AccountAnswer))
def change_user(request: HttpRequest, body: UserBody) -> Any:
    """Change one's own account."""
    token: str = request.token  # type: ignore[attr-defined]
    return account(services.change_user(me(request), body.user, token), token)


# -- Profiles

Username = Annotated[str, Path(max_length=50)]
Slug = Annotated[str, Path(max_length=120)]


@api.get("/profiles/{username}", auth=anyone, tags=["Profile"], **answers(ProfileAnswer, 200, 404))
def get_profile(request: HttpRequest, username: Username) -> Any:
    """Return a user's profile."""
    return ProfileAnswer(profile=profile(services.find_user(viewer(request), username)))


@api.post("/profiles/{username}/follow", tags=["Profile"], **answers(ProfileAnswer, 200, 404))
def follow(request: HttpRequest, username: Username) -> Any:
    """Follow a user."""
    return ProfileAnswer(profile=profile(services.follow(me(request), username)))


@api.delete("/profiles/{username}/follow", tags=["Profile"], **answers(ProfileAnswer, 200, 404))
def unfollow(request: HttpRequest, username: Username) -> Any:
    """Unfollow a user."""
    return ProfileAnswer(profile=profile(services.unfollow(me(request), username)))


# -- Articles

Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=COUNTED)]


class NewArticleBody(BaseModel):  # noqa: D101
    article: inputs.NewPost


class ArticleBody(BaseModel):  # noqa: D101
    article: inputs.PostChanges


@api.get("/articles", auth=anyone, tags=["Articles"], **answers(ArticlesAnswer))
def list_articles(
    request: HttpRequest,
    tag: str | None = None,
    author: str | None = None,
    favorited: str | None = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Any:
    """Return articles, the newest first."""
    who = viewer(request)
    found = selectors.articles(who, tag=tag, author=author, liked_by=favorited)
    return articles(who, found, limit, offset)


@api.get("/articles/feed", tags=["Articles"], **answers(ArticlesAnswer))
def feed(request: HttpRequest, limit: Limit = 20, offset: Offset = 0) -> Any:
    """Return articles by those whom one follows, the newest first."""
    who = me(request)
    return articles(who, timelines.followed_articles(who), limit, offset)


@api.post("/articles", tags=["Articles"], **answers(ArticleAnswer, 201))
def create_article(request: HttpRequest, body: NewArticleBody) -> Any:
    """Publish an article."""
    return Status(201, article(request, services.create_post(me(request), body.article)))


@api.get("/articles/{slug}", auth=anyone, tags=["Articles"], **answers(ArticleAnswer, 200, 404))
def get_article(request: HttpRequest, slug: Slug) -> Any:
    """Return an article."""
    return article(request, services.find_post(viewer(request), slug=slug))


@api.put("/articles/{slug}", tags=["Articles"], **answers(ArticleAnswer, 200, 403, 404))
def change_article(request: HttpRequest, slug: Slug, body: ArticleBody) -> Any:
    """Change an article."""
    return article(request, services.change_post(me(request), body.article, slug=slug))


@api.delete("/articles/{slug}", tags=["Articles"], **answers(None, 204, 403, 404))
def delete_article(request: HttpRequest, slug: Slug) -> Any:
    """Delete an article."""
    services.delete_post(me(request), slug=slug)
    return Status(204, None)


@api.post("/articles/{slug}/favorite", tags=["Favorites"], **answers(ArticleAnswer, 200, 404))
def favorite(request: HttpRequest, slug: Slug) -> Any:
    """Like an article."""
    return article(request, services.like(me(request), liked=True, slug=slug))


@api.delete("/articles/{slug}/favorite", tags=["Favorites"], **answers(ArticleAnswer, 200, 404))
def unfavorite(request: HttpRequest, slug: Slug) -> Any:
    """Unlike an article."""
    return article(request, services.like(me(request), liked=False, slug=slug))


# -- Comments and tags


class CommentBody(BaseModel):  # noqa: D101
    comment: inputs.NewComment


def comment_out(comment: Comment, author: User) -> CommentOut:
    """Return a comment."""
    return CommentOut(
        id=comment.pk,
        body=comment.body,
        created_at=comment.created_at,
        updated_at=comment.updated_at,
        author=profile(author),
    )


COMMENTS = "/articles/{slug}/comments"


@api.get(COMMENTS, auth=anyone, tags=["Comments"], **answers(CommentsAnswer, 200, 404))
def list_comments(request: HttpRequest, slug: Slug) -> Any:
    """Return an article's last hundred comments, the newest first. RealWorld has no pages here."""
    who = viewer(request)
    post = services.find_post(who, slug=slug)
    rows = selectors.comments(who).filter(post=post).order_by("-id")[:100]
    by_id = authors(who, rows)
    return CommentsAnswer(comments=[comment_out(row, by_id[row.author_id]) for row in rows])


@api.post(COMMENTS, tags=["Comments"], **answers(CommentAnswer, 200, 404))
def add_comment(request: HttpRequest, slug: Slug, body: CommentBody) -> Any:
    """Comment on an article."""
    who = me(request)
    row = services.add_comment(who, body.comment, slug=slug)
    return CommentAnswer(comment=comment_out(row, authors(who, [row])[row.author_id]))


@api.delete(COMMENTS + "/{id}", tags=["Comments"], **answers(None, 204, 403, 404))
def delete_comment(request: HttpRequest, slug: Slug, id: int) -> Any:
    """Delete a comment."""
    services.delete_comment(me(request), id, post__slug=slug)
    return Status(204, None)


@api.get("/tags", auth=anyone, tags=["Tags"], **answers(TagsAnswer))
def list_tags(request: HttpRequest) -> Any:
    """Return the tags in use."""
    return TagsAnswer(tags=selectors.tags(viewer(request)))
