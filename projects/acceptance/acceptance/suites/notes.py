"""Notes that people share and like: the example of a suite.

It shows each probe once. Copy it to write a suite of your own; WRITING.md explains the words.
"""

from typing import Any

from acceptance import common, probes
from acceptance.api import Api, User
from acceptance.check import check
from acceptance.client import Answer
from acceptance.probes import ALLOWED, REFUSED


def new_note(user: User, title: str = "A note") -> Any:
    """Create a note, and return its id."""
    api = user.api
    answer = user.send("create", json=api.body("note", title=title)).expect(
        201, wanted="A user can create a note"
    )
    return api.field("note", "id", answer)


def library(api: Api) -> list[Any]:
    """Create 30 notes of one user, once a run, and return their ids."""
    author = api.user("author")
    return [new_note(author, f"Note {number:02}") for number in range(30)]


def key(api: Api, row: Any) -> Any:
    """Return a row's id."""
    return api.field("note", "id", row)


@check(
    "create-and-read",
    "A user can create a note, and anyone can read it",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def create_and_read(api: Api) -> None:
    """Create, read, compare."""
    note = new_note(api.user(), "Milk")
    answer = api.stranger.send("read", note=note).expect(200)
    answer.want(
        api.field("note", "title", answer) == "Milk", "The note has the title that was sent"
    )


@check(
    "one-like-a-person",
    "A person likes a note once, also when ten requests arrive at once",
    criterion="functionality",
    official=True,
    chapter="transactions-and-locks",
)
def one_like(api: Api) -> None:
    """Race ten likes of one person, and count afterwards."""
    user, note = api.user(), new_note(api.user())
    answers = probes.race(api, [lambda: user.send("like", note=note)] * 10)
    probes.exactly(answers, 1, "A person likes a note once")
    after = user.send("read", note=note)
    after.want(api.field("note", "likes", after) == 1, "The note has 1 like")


@check(
    "filter",
    "The list can be filtered by author",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def by_author(api: Api) -> None:
    """Filter, and look at what came and at what is missing."""
    ids, author = api.once(library), api.user("author")
    new_note(api.user())
    pages = list(api.pages(author, "list", params={"author": author.username}))
    probes.filtered(
        pages[0],
        [row for page in pages for row in api.items(page)],
        lambda row: api.field("note", "author", row) == author.username,
        "The list has all notes of the author, and no other",
        key=lambda row: key(api, row),
        expected=ids,
    )


@check(
    "sort",
    "The list can be sorted by title, both ways",
    criterion="functionality",
    chapter="rest-with-drf",
)
def sort(api: Api) -> None:
    """Sort up and down."""
    api.once(library)
    for name, falling in (("title_rising", False), ("title_falling", True)):
        answer = api.user("author").send("list", params={name: ""})
        titles = [api.field("note", "title", row) for row in api.items(answer)]
        probes.sorted_by(answer, titles, falling=falling)


@check(
    "stable-pages",
    "A walk through the pages gives each note once, while notes are added",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def stable_pages(api: Api) -> None:
    """Walk and write."""
    ids, author = api.once(library), api.user("author")
    probes.stable_walk(
        api,
        author,
        "list",
        params={"author": author.username},
        key=lambda row: key(api, row),
        write=lambda: new_note(author),
        size=10,
        expected=ids,
    )


@check(
    "no-query-per-row",
    "A list's time hardly grows with its rows",
    criterion="performance",
    chapter="orm-and-n-plus-one",
)
def growth(api: Api) -> None:
    """Compare one row with thirty."""
    api.once(library)
    size = api.names.data["lists"]["size"]

    def get(rows: int) -> Answer:
        return api.user("author").send("list", params={size: rows})

    probes.growth(lambda: get(1), lambda: get(30), rows=(1, len(api.items(get(30)))))


common.tokens(__name__)


@check(
    "roles",
    "Authors change their own notes, administrators delete any, and nobody else does",
    criterion="security",
    official=True,
    chapter="auth",
)
def roles(api: Api) -> None:
    """Send each request as each role."""
    author = api.user("author")
    users = {
        "author": author,
        "other": api.user(),
        "admin": api.user("admin"),
        "nobody": api.stranger,
    }
    changed = api.body("note", title="Changed")
    probes.matrix(
        {
            "update": lambda user: user.send("update", note=new_note(author), json=changed),
            "delete": lambda user: user.send("delete", note=new_note(author)),
        },
        users,
        {
            "update": {"author": ALLOWED, "other": REFUSED, "admin": REFUSED, "nobody": REFUSED},
            "delete": {"author": ALLOWED, "other": REFUSED, "admin": ALLOWED, "nobody": REFUSED},
        },
    )


@check(
    "sql-injection",
    "A text with SQL in it is only a text",
    criterion="security",
    chapter="django-project",
)
def sql_injection(api: Api) -> None:
    """Put SQL into the search."""
    api.once(library)
    probes.injection(
        lambda text: api.user().send("list", params={"search": text}),
        lambda answer: len(api.items(answer)),
    )


@check(
    "mass-assignment",
    "Author and likes are not the client's to set",
    criterion="security",
    chapter="rest-with-drf",
)
def mass_assignment(api: Api) -> None:
    """Send them anyhow, and look at what is stored."""
    user = api.user()
    probes.mass_assignment(
        lambda more: user.send("create", json={**api.body("note", title="A note"), **more}),
        lambda answer: user.send("read", note=api.field("note", "id", answer)).json,
        api.body("note", author="somebody-else", likes=1_000),
    )


@check(
    "errors",
    "Errors are JSON of one form, and show nothing of the program",
    criterion="functionality",
    chapter="rest-with-drf",
)
def errors(api: Api) -> None:
    """Make an error of each kind."""
    user = api.user()
    probes.error_form(
        [
            user.send("read", note=987_654_321),
            user.send("create", json={}),
            user.send("create", content="{", headers={"content-type": "application/json"}),
            api.stranger.send("create", json=api.body("note", title="A note")),
        ]
    )


common.documentation(__name__, "list", "create", "read", "update", "delete", "like")
