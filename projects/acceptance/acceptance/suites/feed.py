"""A social media feed in GraphQL: posts, comments, likes, shares, a timeline.

Each operation of the mapping gives its field the alias `result`, so the suite knows where to look.
GraphQL says no with `errors`, mostly under the status 200.
"""

from collections.abc import Iterable
from typing import Any

from acceptance import probes
from acceptance.api import Api, User
from acceptance.check import Failed, check
from acceptance.client import Answer

PEOPLE = 8
"""How many like, comment or share at once."""


def result(answer: Answer) -> Any:
    """Return what an operation gave, or fail."""
    data = probes.no_leak(answer).expect(200).json
    answer.want(isinstance(data, dict) and not data.get("errors"), "The operation succeeds")
    answer.want("result" in (data.get("data") or {}), "The operation's field has the alias result")
    return data["data"]["result"]


def no(answer: Answer, wanted: str) -> Answer:
    """Fail unless an operation was refused: by errors, or by a status from 400 to 499."""
    probes.no_leak(answer)
    if answer.refused:
        return answer
    data = answer.json
    return answer.want(isinstance(data, dict) and data.get("errors"), wanted)


def new_post(user: User, title: str = "A post", tag: str = "acceptance") -> Any:
    """Create a post, and return its id."""
    post = user.api.body("post", title=title, description="About", body="Text", tags=[tag])
    return user.api.field("post", "id", result(user.graphql("create_post", post=post)))


def read(user: User, post: Any) -> Any:
    """Return a post, or None if the user may not see it."""
    return result(user.graphql("read_post", id=post))


def crowd(api: Api) -> list[User]:
    """Return some users."""
    return api.users(PEOPLE)


def rows(answer: Answer) -> list[Any]:
    """Return the rows of a page."""
    page = result(answer)
    answer.want(isinstance(page, dict) and "items" in page, "A page has the field items")
    return list(page["items"])


def ids(api: Api, found: Iterable[Any]) -> list[Any]:
    """Return the ids of rows."""
    return [api.field("post", "id", row) for row in found]


def library(api: Api) -> list[Any]:
    """Create 30 posts of one author, each with a comment, once a run. Returns their ids."""
    author = api.user("author")
    made = [new_post(author, f"Number {number:02}", "library") for number in range(30)]
    for post in made:
        result(api.user().graphql("add_comment", post=post, body="A comment"))
    return made


# -- What the case study asks for


@check(
    "create-and-query",
    "Users create posts, and a query returns the fields it asks for and no other",
    criterion="functionality",
    official=True,
    chapter="graphql",
)
def create_and_query(api: Api) -> None:
    """Create, and read all of it and a part of it."""
    post = new_post(api.user("author"), "Milk")
    answer = api.stranger.graphql("read_post", id=post)
    row = result(answer)
    answer.want(api.field("post", "title", row) == "Milk", "The post has the title that was sent")
    answer = api.stranger.graphql("read_id", id=post)
    answer.want(len(result(answer)) == 1, "A query for one field returns one field")


@check(
    "interactions",
    "Users like, comment on and share a post, and it says how many did",
    criterion="functionality",
    official=True,
    chapter="graphql",
)
def interactions(api: Api) -> None:
    """Do each once, and take the like and the share back."""
    post, user = new_post(api.user("author")), api.user()
    for operation in ("like", "share"):
        result(user.graphql(operation, id=post))
    result(user.graphql("add_comment", post=post, body="A comment"))
    counters = ("likes", "comments", "shares")
    for wanted in ([1, 1, 1], [0, 1, 0]):
        answer = user.graphql("read_post", id=post)
        counts = [api.field("post", name, result(answer)) for name in counters]
        answer.want(counts == wanted, f"Likes, comments and shares are {wanted}")
        for operation in ("unlike", "unshare"):
            result(user.graphql(operation, id=post))


@check(
    "filters",
    "Posts can be filtered by author and by tag",
    criterion="functionality",
    official=True,
    chapter="graphql",
)
def filters(api: Api) -> None:
    """Filter, and look at what came and at what is missing."""
    author, wanted = api.user("author"), api.once(library)
    new_post(api.user(), tag="library")
    answer = author.graphql("list_posts", first=40, author=author.username, tag="library")
    probes.filtered(
        answer,
        rows(answer),
        lambda row: api.field("post", "author", row) == author.username,
        "The list has all posts of the author with this tag, and no other",
        key=lambda row: api.field("post", "id", row),
        expected=wanted,
    )


@check(
    "timeline",
    "A timeline has the posts of those whom a user follows, the newest first, and no other",
    criterion="functionality",
    official=True,
    chapter="graphql",
)
def timeline(api: Api) -> None:
    """Follow one of two, and take it back."""
    reader, author, other = api.new_user(), api.new_user(), api.new_user()
    posts = [new_post(author, f"Number {number}") for number in range(3)]
    new_post(other)
    result(reader.graphql("follow", username=author.username))
    answer = reader.graphql("timeline", first=10)
    wanted = "The timeline has the three posts of the followed user, the newest first"
    answer.want(ids(api, rows(answer)) == posts[::-1], wanted)
    result(reader.graphql("unfollow", username=author.username))
    answer = reader.graphql("timeline", first=10)
    answer.want(rows(answer) == [], "After unfollowing, the timeline is empty")


@check(
    "playground",
    "A page to try queries on can be read without an account",
    criterion="documentation",
    official=True,
    chapter="graphql",
)
def playground(api: Api) -> None:
    """Get the page."""
    probes.docs_page(api)


@check(
    "no-query-per-row",
    "A nested query's time hardly grows with its rows",
    criterion="performance",
    official=True,
    chapter="orm-and-n-plus-one",
)
def no_query_per_row(api: Api) -> None:
    """Compare one post with thirty, each with its author and comments."""
    api.once(library)
    user = api.user()

    def get(first: int) -> Answer:
        return user.graphql("nested", first=first)

    probes.growth(lambda: get(1), lambda: get(30), rows=(1, len(rows(get(30)))))


# -- What it implies


@check(
    "one-like-a-person",
    "A person likes and shares a post once, also when ten requests arrive at once",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def one_like(api: Api) -> None:
    """Race ten of one person, and count afterwards."""
    post, user = new_post(api.user("author")), api.user()
    for operation, counter in (("like", "likes"), ("share", "shares")):
        answers = probes.race(api, [lambda o=operation: user.graphql(o, id=post)] * 10)  # type: ignore[misc]
        for answer in answers:
            probes.no_leak(answer)
        count = api.field("post", counter, read(user, post))
        if count != 1:
            raise Failed(
                sent=f"10 × at once: {answers[0].sent}",
                came=f"{probes.statuses(answers)}; afterwards {counter}: {count}",
                wanted="Ten requests of one person count once",
            )


@check(
    "counters-in-a-race",
    "Counters are right after likes and unlikes that arrive at once",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def counters(api: Api) -> None:
    """Race three times, with likes and unlikes of different people."""
    author, people = api.user("author"), api.once(crowd)
    half = len(people) // 2
    for _ in range(3):
        post = new_post(author)
        for user in people[:half]:
            result(user.graphql("like", id=post))
        calls = [lambda u=user, p=post: u.graphql("unlike", id=p) for user in people[:half]]
        calls += [lambda u=user, p=post: u.graphql("like", id=p) for user in people[half:]]
        calls += [
            lambda u=user, p=post: u.graphql("add_comment", post=p, body="At once")
            for user in people
        ]
        answers = probes.race(api, calls)
        for answer in answers:
            result(answer)
        row = read(author, post)
        came = [api.field("post", name, row) for name in ("likes", "comments")]
        wanted = [len(people) - half, len(people)]
        if came != wanted:
            raise Failed(
                sent=f"at once: {half} unlikes, {len(people) - half} likes, {len(people)} comments",
                came=f"likes and comments: {came}",
                wanted=f"Counters are those of the rows: {wanted}",
            )


@check(
    "stable-pages",
    "A walk through the pages gives each post once, while posts are added",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def stable_pages(api: Api) -> None:
    """Walk and write."""
    author, wanted = api.user("author"), api.once(library)
    seen: list[Any] = []
    after, pages = None, 0
    while pages < 50:
        answer = author.graphql(
            "list_posts", first=7, after=after, author=author.username, tag="library"
        )
        seen += ids(api, rows(answer))
        after = result(answer)["next"]
        pages += 1
        if after is None:
            break
        if pages <= 3:
            new_post(author, tag="library-new")
            new_post(author, tag="library")
    missing = [post for post in wanted if post not in seen]
    if len(seen) != len(set(seen)) or missing:
        raise Failed(
            sent="list_posts with first: 7, page by page; posts were added after the first pages",
            came=f"{len(seen)} rows, {len(set(seen))} different ones; missing: {missing[:5]}",
            wanted="Each post that was there before comes once (a cursor does that, an offset not)",
        )


@check(
    "depth-limit",
    "A query that is nested very deep is refused",
    criterion="security",
    chapter="graphql",
)
def depth_limit(api: Api) -> None:
    """Nest forty levels."""
    before, inner, after = (api.names.data["operations"][f"deep_{n}"] for n in ("1", "2", "3"))
    half = inner.split("…")
    document = before + half[0] * 20 + "__typename" + half[1] * 20 + after
    no(api.user().graphql(document), "A document of forty levels is refused")


@check(
    "cost-limit",
    "A query whose answer could be huge is refused, and so is a huge page",
    criterion="security",
    chapter="graphql",
)
def cost_limit(api: Api) -> None:
    """Ask for the product of three pages, and for one page of a million."""
    no(api.user().graphql("costly"), "A document with nested pages of 50 is refused")
    answer = api.user().graphql("list_posts", first=1_000_000)
    no(answer, "A page of a million is refused")


@check(
    "roles",
    "Authors change their own posts, moderators hide posts, and nobody else does",
    criterion="security",
    chapter="auth",
)
def roles(api: Api) -> None:
    """Send what each one may not."""
    author, other = api.user("author"), api.user()
    post = new_post(author, "Before")
    for user in (api.stranger, other):
        for name, more in (("change", {"title": "After"}), ("delete", {}), ("hide", {})):
            no(user.graphql(name, id=post, **more), "Only its author may change or delete a post")
    new = api.body("post", title="T", description="D", body="B", tags=[])
    no(api.stranger.graphql("create_post", post=new), "A stranger creates no posts")
    no(api.stranger.graphql("like", id=post), "A stranger likes no posts")
    no(author.graphql("hide", id=post), "An author is no moderator")
    answer = author.graphql("read_post", id=post)
    answer.want(api.field("post", "title", result(answer)) == "Before", "The post is unchanged")
    result(author.graphql("change", id=post, title="After"))
    result(author.graphql("delete", id=post))


@check(
    "moderation",
    "A hidden post is seen by nobody but its author and moderators",
    criterion="functionality",
    chapter="auth",
)
def moderation(api: Api) -> None:
    """Report, hide, look."""
    author, reader, moderator = api.user("author"), api.user(), api.user("moderator")
    post = new_post(author, tag="moderated")
    result(reader.graphql("report", id=post, reason="Spam"))
    result(moderator.graphql("hide", id=post))
    for user in (reader, api.stranger):
        answer = user.graphql("read_post", id=post)
        answer.want(result(answer) is None, "A hidden post is not shown by its id")
        answer = user.graphql("list_posts", first=10, tag="moderated", author=author.username)
        answer.want(post not in ids(api, rows(answer)), "A hidden post is in no list")
        no(reader.graphql("like", id=post), "A hidden post cannot be liked")


@check(
    "block",
    "A blocked user neither sees the posts of the other one, nor follows them",
    criterion="functionality",
    chapter="auth",
)
def block(api: Api) -> None:
    """Block, look, and follow."""
    author, other = api.new_user(), api.new_user()
    post = new_post(author)
    result(author.graphql("block", username=other.username))
    answer = other.graphql("read_post", id=post)
    answer.want(result(answer) is None, "A blocked user does not see the post")
    no(other.graphql("follow", username=author.username), "A blocked user cannot follow")


@check(
    "token",
    "A changed token is refused, and log-out ends a token",
    criterion="security",
    chapter="auth",
)
def token(api: Api) -> None:
    """Send a good token, a changed one, and one that has ended."""
    user = api.new_user()
    answer = user.graphql("viewer")
    answer.want(result(answer), "The token that log-in gave is accepted")
    changed = user.access[:-1] + ("A" if user.access[-1] != "A" else "B")
    for wrong in (changed, "nonsense"):
        no(probes.with_token(user, wrong).graphql("timeline", first=1), "A wrong token is refused")
    result(user.graphql("log_out"))
    no(user.graphql("timeline", first=1), "After log-out the token is refused")


@check(
    "sql-injection",
    "A text with SQL in it is only a text",
    criterion="security",
    chapter="django-project",
)
def sql_injection(api: Api) -> None:
    """Put SQL into the filter."""
    api.once(library)
    user = api.user()

    def count(answer: Answer) -> int:
        return 0 if answer.json.get("errors") else len(rows(answer))

    probes.injection(lambda text: user.graphql("list_posts", first=20, tag=text), count)


@check(
    "mass-assignment",
    "Author and counters are not the client's to set",
    criterion="security",
    chapter="graphql",
)
def mass_assignment(api: Api) -> None:
    """Send them anyhow, and look at what is stored."""
    user = api.user()
    honest = api.body("post", title="T", description="D", body="B", tags=[])
    forged = api.body("post", likes=1_000, shares=1_000, comments=1_000, id="1")
    for name, value in forged.items():
        answer = probes.no_leak(user.graphql("create_post", post={**honest, name: value}))
        if answer.ok and not answer.json.get("errors"):
            row = read(user, api.field("post", "id", result(answer)))
            answer.want(row.get(name) != value, f"{name!r} is not the client's to set")


@check(
    "errors",
    "Errors are JSON, and show nothing of the program",
    criterion="functionality",
    chapter="graphql",
)
def errors(api: Api) -> None:
    """Make an error of each kind."""
    user = api.user()
    for answer in (
        user.graphql("{ result: nothingOfThatName }"),
        user.graphql("{"),
        user.graphql("like", id="987654321"),
        user.graphql("like", id="not-an-id"),
        user.graphql("list_posts", first=5, tag="a\u0000b"),
        user.graphql("list_posts", first=5, after="not-a-cursor"),
        user.graphql("create_post", post={}),
    ):
        no(answer, "The operation is refused")
        answer.want(isinstance(answer.json.get("errors"), list | dict), "Errors are in `errors`")
    for answer in (
        user.send("graphql", content="{", headers={"content-type": "application/json"}),
        user.send("graphql", json=[]),
    ):
        probes.no_leak(answer).want_refused("What is no GraphQL request is refused")
