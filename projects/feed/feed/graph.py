"""The GraphQL API.

Resolvers are asynchronous for the sake of the dataloaders: all that one level of a query needs is
collected, and then loaded with one or two statements. The services stay synchronous.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ParamSpec

import strawberry
import strawberry_django
from asgiref.sync import sync_to_async
from cross_web import HTTPException
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from graphql import GraphQLError
from strawberry import auto
from strawberry.dataloader import DataLoader
from strawberry.django.views import AsyncGraphQLView
from strawberry.types import ExecutionContext

from feed import inputs, models, selectors, services, timelines
from feed.errors import Refusal, not_found, unauthenticated
from feed.limits import Limits
from feed.middleware import client_address

P = ParamSpec("P")
logger = logging.getLogger(__name__)
PageKey = tuple[int, int, str | None]
"""Of which parent, how many, from which cursor on."""


async def run(function: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Any:
    """Call what uses the database. It returns a model where Strawberry's type is declared."""
    return await sync_to_async(function)(*args, **kwargs)


class Context:
    """Who asks, and the dataloaders. It is new for each request, as what it loads is one user's."""

    def __init__(self, viewer: models.User | None, token: str, address: str) -> None:
        self.viewer, self.token, self.address = viewer, token, address
        self.users = DataLoader[int, models.User](sync_to_async(self._users))
        self.posts = DataLoader[int, models.Post | None](sync_to_async(self._posts))
        self.posts_of_user = DataLoader[PageKey, Any](sync_to_async(self._posts_of_user))
        self.comments_of_post = DataLoader[PageKey, Any](sync_to_async(self._comments_of_post))

    @property
    def me(self) -> models.User:
        """Who asks, where a token is needed."""
        if self.viewer is None:
            raise unauthenticated()
        return self.viewer

    def _users(self, keys: list[int]) -> list[Any]:
        found = selectors.users(self.viewer).in_bulk(keys)
        return [found.get(key) for key in keys]

    def _posts(self, keys: list[int]) -> list[Any]:
        found = selectors.posts(self.viewer).in_bulk(keys)
        return [found.get(key) for key in keys]

    def _posts_of_user(self, keys: list[PageKey]) -> list[Any]:
        return _pages(keys, selectors.posts(self.viewer), "author")

    def _comments_of_post(self, keys: list[PageKey]) -> list[Any]:
        return _pages(keys, selectors.comments(self.viewer), "post")


def _pages(keys: Iterable[PageKey], children: Any, column: str) -> list[Any]:
    """Return a page for each key, with two statements for each pair of `first` and `after`."""
    ways: dict[tuple[int, str | None], list[int]] = {}
    for parent, first, after in keys:
        ways.setdefault((first, after), []).append(parent)
    found = {way: selectors.pages(children, column, ways[way], *way) for way in ways}
    return [found[first, after].get(parent) for parent, first, after in keys]


Info = strawberry.Info[Context, None]
First = Annotated[int, strawberry.argument(description="How many, from 1 to 50.")]
After = Annotated[str | None, strawberry.argument(description="The `next` of the page before.")]


# -- Types


@strawberry_django.type(models.User)
class User:
    """What all may know of a user."""

    username: auto
    bio: auto
    image: auto
    followers_count: auto

    @strawberry.field(description="Whether you follow this user.")
    def is_followed(self) -> bool:
        """Return what the selector has read."""
        return bool(self.followed)  # type: ignore[attr-defined]

    @strawberry.field(description="Posts and shares, the newest first.")
    async def posts(self, info: Info, first: First, after: After = None) -> "PostPage":
        """Return a page, loaded for all users at once."""
        key = (self.pk, first, after)  # type: ignore[attr-defined]
        return PostPage.of(await info.context.posts_of_user.load(key))


@strawberry_django.type(models.User)
class Viewer:
    """Your own account."""

    username: auto
    email: auto
    bio: auto
    image: auto
    followers_count: auto
    is_moderator: auto


@strawberry_django.type(models.Post)
class Post:
    """An article; or a share of one, which has an original and no text."""

    id: strawberry.ID
    slug: auto
    title: auto
    description: auto
    body: auto
    tags: list[str]
    created_at: auto
    updated_at: auto
    likes_count: auto
    comments_count: auto
    shares_count: auto

    @strawberry.field(description="Whether you like it.")
    def is_liked(self) -> bool:
        """Return what the selector has read."""
        return bool(self.liked)  # type: ignore[attr-defined]

    @strawberry.field(description="Whether a moderator has hidden it from all but its author.")
    def is_hidden(self) -> bool:
        """Return whether it is hidden."""
        return self.hidden_at is not None  # type: ignore[attr-defined]

    @strawberry.field
    async def author(self, info: Info) -> User:
        """Return the author, loaded for all posts at once."""
        key: int = self.author_id  # type: ignore[attr-defined]
        return await info.context.users.load(key)

    @strawberry.field(description="What is shared, if you may see it.")
    async def original(self, info: Info) -> "Post | None":
        """Return the original, loaded for all posts at once."""
        key: int | None = self.original_id  # type: ignore[attr-defined]
        return await info.context.posts.load(key) if key else None

    @strawberry.field(description="The newest first.")
    async def comments(self, info: Info, first: First, after: After = None) -> "CommentPage":
        """Return a page, loaded for all posts at once."""
        key = (int(self.id), first, after)
        return CommentPage.of(await info.context.comments_of_post.load(key))


@strawberry_django.type(models.Comment)
class Comment:
    """What somebody says about a post."""

    id: strawberry.ID
    body: auto
    created_at: auto

    @strawberry.field
    async def author(self, info: Info) -> User:
        """Return the author, loaded for all comments at once."""
        key: int = self.author_id  # type: ignore[attr-defined]
        return await info.context.users.load(key)


@strawberry_django.type(models.Report)
class Report:
    """What moderators should look at."""

    id: strawberry.ID
    reason: auto
    created_at: auto

    @strawberry.field
    async def post(self, info: Info) -> Post | None:
        """Return the post, loaded for all reports at once."""
        key: int = self.post_id  # type: ignore[attr-defined]
        return await info.context.posts.load(key)


@strawberry.type
class PageBase:
    """A page of a list."""

    next: str | None = strawberry.field(description="Pass it as `after`; null at the end.")

    @classmethod
    def of(cls, page: Any) -> Any:
        """Make it of a selector's page, or of nothing if the parent has just been deleted."""
        items: dict[str, Any] = {"items": page.items if page else []}
        return cls(next=page.next if page else None, **items)


@strawberry.type
class PostPage(PageBase):
    """A page of posts."""

    items: list[Post]


@strawberry.type
class CommentPage(PageBase):
    """A page of comments."""

    items: list[Comment]


@strawberry.type
class ReportPage(PageBase):
    """A page of reports."""

    items: list[Report]


@strawberry.type
class Session:
    """What a log-in gives. Send `Authorization: Token …` from now on."""

    token: str
    viewer: Viewer


@strawberry.input(description="All that is given must hold.")
class PostFilter:
    """Which posts."""

    tag: str | None = None
    author: str | None = None
    liked_by: str | None = None


@strawberry.input
class NewUser:
    """A registration."""

    username: str
    email: str
    password: str


@strawberry.input
class NewPost:
    """An article."""

    title: str
    description: str
    body: str
    tags: list[str] = strawberry.field(default_factory=list)


@strawberry.input(description="What changes. What is not given stays as it is.")
class PostChanges:
    """What changes in an article."""

    title: str | None = strawberry.UNSET
    description: str | None = strawberry.UNSET
    body: str | None = strawberry.UNSET
    tags: list[str] | None = strawberry.UNSET


def given(sent: Any) -> dict[str, Any]:
    """Return what was sent."""
    return {name: value for name, value in vars(sent).items() if value is not strawberry.UNSET}


def pk(text: strawberry.ID) -> int:
    """Return the key in an id.

    Raises:
        Refusal: If it is the id of nothing.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise not_found("thing")
    return int(text)


# -- Queries and mutations


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field(description="Your own account; null without a token.")
    def viewer(self, info: Info) -> Viewer | None:
        """Return who asks."""
        found: Any = info.context.viewer
        return found

    @strawberry.field
    async def post(self, info: Info, id: strawberry.ID) -> Post | None:
        """Return a post."""
        return await info.context.posts.load(pk(id))

    @strawberry.field
    async def user(self, info: Info, username: str) -> User | None:
        """Return a user."""
        found = selectors.users(info.context.viewer).filter(username__iexact=username)
        return await run(found.first)

    @strawberry.field(description="Articles, the newest first.")
    async def posts(
        self, info: Info, first: First, after: After = None, where: PostFilter | None = None
    ) -> PostPage:
        """Return a page of articles."""
        found = selectors.articles(info.context.viewer, **(vars(where) if where else {}))
        return PostPage.of(await run(selectors.page, found, first, after))

    @strawberry.field(description="Posts and shares of those whom you follow, the newest first.")
    async def timeline(self, info: Info, first: First, after: After = None) -> PostPage:
        """Return a page of the timeline."""
        return PostPage.of(await run(timelines.timeline, info.context.me, first, after))

    @strawberry.field(description="The tags of the newest posts, those used most first.")
    async def tags(self, info: Info) -> list[str]:
        """Return tags."""
        return await run(selectors.tags, info.context.viewer)

    @strawberry.field(description="Open reports. For moderators.")
    async def reports(self, info: Info, first: First, after: After = None) -> ReportPage:
        """Return a page of open reports."""
        found = selectors.open_reports(info.context.me)
        return ReportPage.of(await run(selectors.page, found, first, after))


@strawberry.type
class Mutation:
    """What can be done. All but `register` and `logIn` need a token."""

    @strawberry.mutation
    async def register(self, info: Info, user: NewUser) -> Session:
        """Make an account."""
        new = inputs.NewUser.of(**given(user))
        return await _session(await run(services.register, new, info.context.address))

    @strawberry.mutation
    async def log_in(self, info: Info, email: str, password: str) -> Session:
        """Log in."""
        sent = inputs.LogIn.of(email=email, password=password)
        return await _session(await run(services.log_in, sent, info.context.address))

    @strawberry.mutation(description="Ends the token that it is sent with.")
    async def log_out(self, info: Info) -> bool:
        """Log out."""
        _ = info.context.me
        await run(services.log_out, info.context.token)
        return True

    @strawberry.mutation
    async def create_post(self, info: Info, post: NewPost) -> Post:
        """Publish an article."""
        new = inputs.NewPost.of(**given(post))
        return await run(services.create_post, info.context.me, new)

    @strawberry.mutation
    async def change_post(self, info: Info, id: strawberry.ID, changes: PostChanges) -> Post:
        """Change an article of one's own."""
        sent = inputs.PostChanges.of(**given(changes))
        return await run(services.change_post, info.context.me, sent, pk=pk(id))

    @strawberry.mutation
    async def delete_post(self, info: Info, id: strawberry.ID) -> bool:
        """Delete a post of one's own."""
        await run(services.delete_post, info.context.me, pk=pk(id))
        return True

    @strawberry.mutation
    async def like_post(self, info: Info, id: strawberry.ID, liked: bool = True) -> Post:
        """Like or unlike a post."""
        return await run(services.like, info.context.me, liked=liked, pk=pk(id))

    @strawberry.mutation(description="Returns the article that is shared.")
    async def share_post(self, info: Info, id: strawberry.ID, shared: bool = True) -> Post:
        """Share an article, or take the share back."""
        return await run(services.share, info.context.me, shared=shared, pk=pk(id))

    @strawberry.mutation
    async def add_comment(self, info: Info, post: strawberry.ID, body: str) -> Comment:
        """Comment on a post."""
        new = inputs.NewComment.of(body=body)
        return await run(services.add_comment, info.context.me, new, pk=pk(post))

    @strawberry.mutation(description="Your own, one under your post, or as a moderator any.")
    async def delete_comment(self, info: Info, id: strawberry.ID) -> bool:
        """Delete a comment."""
        await run(services.delete_comment, info.context.me, pk(id))
        return True

    @strawberry.mutation
    async def follow_user(self, info: Info, username: str, followed: bool = True) -> User:
        """Follow or unfollow a user."""
        service = services.follow if followed else services.unfollow
        return await run(service, info.context.me, username)

    @strawberry.mutation
    async def block_user(self, info: Info, username: str, blocked: bool = True) -> User:
        """Block or unblock a user."""
        return await run(services.block, info.context.me, username, blocked=blocked)

    @strawberry.mutation
    async def report_post(self, info: Info, id: strawberry.ID, reason: str) -> bool:
        """Ask the moderators to look at a post."""
        new = inputs.NewReport.of(reason=reason)
        await run(services.report, info.context.me, new, pk=pk(id))
        return True

    @strawberry.mutation(description="For moderators. Closes the reports of the post.")
    async def hide_post(self, info: Info, id: strawberry.ID, hidden: bool = True) -> Post:
        """Hide a post, or show it."""
        return await run(services.hide, info.context.me, hidden=hidden, pk=pk(id))

    @strawberry.mutation(description="For moderators. Ends all tokens of the user.")
    async def suspend_user(self, info: Info, username: str, suspended: bool = True) -> User:
        """Keep a user out, or let them in again."""
        return await run(services.suspend, info.context.me, username, suspended=suspended)


async def _session(user: Any) -> Session:
    """Return a new token, and whose it is."""
    return Session(token=await run(services.new_token, user), viewer=user)


# -- Errors, and HTTP


def formatted(error: GraphQLError) -> dict[str, Any]:
    """Return an error as the client may see it."""
    original = error.original_error
    if isinstance(original, Refusal):
        message, code = original.detail, original.code
    elif isinstance(original, DataError | UnicodeEncodeError):
        message, code = "A text has a character that cannot be stored.", "invalid"
    elif original is None or isinstance(original, GraphQLError):
        message, code = error.message, "invalid"
    else:
        message, code = "Something went wrong here.", "error"
    return {**error.formatted, "message": message, "extensions": {"code": code}}


class Schema(strawberry.Schema):
    """Logs what nobody foresaw, and no refusals."""

    def process_errors(
        self,
        errors: list[GraphQLError],
        execution_context: ExecutionContext | None = None,  # noqa: ARG002
    ) -> None:
        """Log faults."""
        for error in errors:
            if formatted(error)["extensions"]["code"] == "error":
                logger.error("%s failed", error.path, exc_info=error.original_error)


schema = Schema(Query, Mutation, extensions=[Limits])


class GraphQLView(AsyncGraphQLView[Context, None]):
    """`/graphql`, by POST. There is no page of Strawberry's: it would load from third parties."""

    def __init__(self, **kwargs: Any) -> None:
        options = {"schema": schema, "graphql_ide": None, "allow_queries_via_get": False}
        super().__init__(**{**options, **kwargs})

    def decode_json(self, data: str | bytes) -> object:
        """Return what the request holds.

        Raises:
            HTTPException: If its bytes are no text, or if it is nested too deeply to be read.
        """
        try:
            return super().decode_json(data)
        except (UnicodeDecodeError, RecursionError):
            raise HTTPException(400, "The body is not JSON that can be read.") from None

    async def get_context(self, request: HttpRequest, response: HttpResponse) -> Context:  # noqa: ARG002
        """Return a new context.

        Raises:
            HTTPException: If a token came that is not good.
        """
        word, _, token = request.headers.get("Authorization", "").partition(" ")
        viewer = await run(services.user_of, token) if word == "Token" else None
        if word and viewer is None:
            raise HTTPException(401, "The token is not valid.")
        return Context(viewer, token, client_address(request))

    async def process_result(self, request: HttpRequest, result: Any) -> Any:
        """Return the answer, with errors as the client may see them."""
        answer = await super().process_result(request, result)
        if result.errors:
            answer["errors"] = [formatted(error) for error in result.errors]
        return answer
