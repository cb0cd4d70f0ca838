from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from feed import graph, limits, selectors, services
from feed.models import Post
from tests.conftest import Asks, make_post, make_user, token_of

pytestmark = pytest.mark.django_db

NESTED = """query ($first: Int!) {
  posts(first: $first) { items {
    title isLiked original { id }
    author { username isFollowed posts(first: 3) { items { title author { username } } next } }
    comments(first: 3) { items { body author { username } } next }
  } next }
}"""
LIKE = """mutation ($id: ID!, $liked: Boolean!) {
  likePost(id: $id, liked: $liked) { likesCount isLiked } }"""
CREATE = """mutation ($post: NewPost!) { createPost(post: $post) { id slug title tags } }"""


def crowd(posts: int) -> Any:
    reader = make_user()
    for _ in range(posts):
        author = make_user()
        post = make_post(author)
        services.follow(reader, author.username)
        services.share(make_user(), shared=True, pk=post.pk)
        for _ in range(4):
            comment = graph.inputs.NewComment(body="Yes")
            services.add_comment(make_user(), comment, pk=post.pk)
    return reader


@pytest.mark.parametrize("query", ["posts", "timeline"])
def test_nested_queries_send_as_many_statements_for_eight_posts_as_for_two(
    graphql: Asks, query: str
) -> None:
    document = NESTED.replace("posts(first: $first)", f"{query}(first: $first)", 1)
    counts = []
    for more in (2, 8):
        reader = crowd(more)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            data = graphql(document, reader, first=more)
        assert len(data[query]["items"]) == more
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 13


def test_a_user_s_shares_load_their_originals_at_once(graphql: Asks) -> None:
    sharer, author = make_user(), make_user()
    for count in (2, 6):
        for _ in range(count):
            services.share(sharer, shared=True, pk=make_post(author).pk)
        with CaptureQueriesContext(connection) as queries:
            data = graphql(
                "query ($name: String!) { user(username: $name) { posts(first: 50)"
                " { items { original { title author { username } } } } } }",
                name=sharer.username,
            )
        assert all(item["original"]["title"] for item in data["user"]["posts"]["items"])
        assert len(queries) == 5


def test_a_page_of_nested_lists_goes_on_where_it_ended(graphql: Asks) -> None:
    author = make_user("writer")
    titles = [make_post(author, f"Number {i}").title for i in range(5)]
    document = """query ($after: String) { user(username: "WRITER") {
        posts(first: 2, after: $after) { items { title } next } } }"""
    seen, after = [], None
    while True:
        page = graphql(document, after=after)["user"]["posts"]
        seen += [item["title"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == titles[::-1]


def test_pages_stay_right_while_posts_come_and_go(graphql: Asks) -> None:
    author = make_user()
    posts = [make_post(author, f"Number {i}") for i in range(6)]
    document = "query ($after: String) { posts(first: 2, after: $after) { items { title } next } }"
    page = graphql(document)["posts"]
    make_post(author, "New")
    services.delete_post(author, pk=posts[4].pk)  # the last of the first page
    page = graphql(document, after=page["next"])["posts"]
    assert [item["title"] for item in page["items"]] == ["Number 3", "Number 2"]


def test_filters_of_posts_must_all_hold(graphql: Asks) -> None:
    ann, bob = make_user("ann"), make_user("bob")
    liked = make_post(ann, "Liked", tags=["tea"])
    make_post(ann, "Not liked", tags=["tea"])
    make_post(bob, "Another's", tags=["tea"])
    services.like(bob, liked=True, pk=liked.pk)
    services.share(bob, shared=True, pk=liked.pk)
    document = "query ($where: PostFilter) { posts(first: 9, where: $where) { items { title } } }"

    def titles(**where: str) -> list[str]:
        return [item["title"] for item in graphql(document, where=where)["posts"]["items"]]

    assert titles() == ["Another's", "Not liked", "Liked"]
    assert titles(tag="tea", author="Ann", likedBy="bob") == ["Liked"]
    assert titles(tag="tea' OR 1=1 --") == []
    assert titles(author="nobody") == []
    assert graphql("{ tags }")["tags"] == ["tea"]


def test_what_one_may_do_with_a_post(graphql: Asks) -> None:
    author, reader = make_user(), make_user()
    new = {"title": "Ünder", "description": "About", "body": "Text", "tags": ["b", "a", "b"]}
    post = graphql(CREATE, author, post=new)["createPost"]
    assert post["tags"] == ["a", "b"]
    assert post["slug"].startswith("under-")
    for liked, count in ((True, 1), (True, 1), (False, 0), (False, 0)):
        data = graphql(LIKE, reader, id=post["id"], liked=liked)["likePost"]
        assert data == {"likesCount": count, "isLiked": liked}
    share = "mutation ($id: ID!, $on: Boolean!) { sharePost(id: $id, shared: $on) { sharesCount } }"
    for on, count in ((True, 1), (True, 1), (False, 0)):
        assert graphql(share, reader, id=post["id"], on=on)["sharePost"]["sharesCount"] == count
    add = """mutation ($id: ID!) {
        addComment(post: $id, body: " Yes ") { id body author { username } } }"""
    comment = graphql(add, reader, id=post["id"])["addComment"]
    assert comment["body"] == "Yes"
    remove = "mutation ($id: ID!) { deleteComment(id: $id) }"
    assert graphql(remove, author, id=comment["id"]) == {"deleteComment": True}
    change = """mutation ($id: ID!) {
        changePost(id: $id, changes: {title: "Over"}) { slug title body } }"""
    changed = graphql(change, author, id=post["id"])["changePost"]
    assert (changed["title"], changed["body"]) == ("Over", "Text")
    assert changed["slug"].startswith("over-")
    assert graphql("mutation ($id: ID!) { deletePost(id: $id) }", author, id=post["id"])
    assert graphql("query ($id: ID!) { post(id: $id) { id } }", id=post["id"]) == {"post": None}


def test_a_share_is_one_of_the_article_and_cannot_be_changed(graphql: Asks) -> None:
    author, one, other = make_user(), make_user(), make_user()
    post = make_post(author)
    services.share(one, shared=True, pk=post.pk)
    mine = Post.objects.get(author=one)
    shared = services.share(other, shared=True, pk=mine.pk)
    assert (shared.pk, shared.shares_count) == (post.pk, 2)
    change = 'mutation ($id: ID!) { changePost(id: $id, changes: {title: "Mine"}) { id } }'
    assert graphql(change, one, fails=True, id=mine.pk)[0]["extensions"] == {"code": "share"}


def test_a_session_from_registering_to_logging_out(graphql: Asks, client: Client) -> None:
    register = """mutation ($user: NewUser!) { register(user: $user) { token viewer { email } } }"""
    user = {"username": "New", "email": "New@Example.com", "password": "a-good-pass-phrase"}
    assert graphql(register, user=user)["register"]["viewer"] == {"email": "new@example.com"}
    log_in = """mutation { logIn(email: "new@example.com", password: "a-good-pass-phrase")
        { token } }"""
    token = graphql(log_in)["logIn"]["token"]

    def send(document: str) -> Any:
        return client.post(
            "/graphql",
            {"query": document},
            content_type="application/json",
            headers={"Authorization": f"Token {token}"},
        )

    assert send("{ viewer { username } }").json()["data"] == {"viewer": {"username": "New"}}
    assert send("mutation { logOut }").json()["data"] == {"logOut": True}
    refused = send("{ viewer { username } }")
    assert refused.status_code == 401
    assert refused.json() == {"errors": {"body": ["The token is not valid."]}}
    assert graphql("{ viewer { username } }") == {"viewer": None}


def test_input_has_the_rules_of_the_rest_api(graphql: Asks) -> None:
    author = make_user()
    bad = {"title": " ", "description": "About", "body": "Text\0", "tags": []}
    (error,) = graphql(CREATE, author, fails=True, post=bad)
    assert error["extensions"] == {"code": "invalid"}
    assert "title: " in error["message"]
    assert "body: " in error["message"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{ posts(first: 0) { next } }", "bad_page"),
        ("{ posts(first: 51) { next } }", "bad_page"),
        ('{ posts(first: 1, after: "?") { next } }', "bad_cursor"),
        ('{ posts(first: 1, after: "YmVmb3JlOi0x") { next } }', "bad_cursor"),
        ('{ posts(first: 1, where: {tag: "\\u0000"}) { next } }', "invalid"),
        ('{ post(id: "x") { id } }', "not_found"),
        ("{ timeline(first: 1) { next } }", "unauthenticated"),
        ("{ nothing }", "invalid"),
        ("{", "invalid"),
    ],
)
def test_an_error_has_a_code(graphql: Asks, document: str, code: str) -> None:
    make_post(make_user())
    assert graphql(document, fails=True)[0]["extensions"] == {"code": code}


def test_a_variable_that_is_no_text_is_the_client_s_fault(graphql: Asks) -> None:
    document = "query ($name: String!) { user(username: $name) { bio } }"
    assert graphql(document, fails=True, name="\ud800")[0]["extensions"] == {"code": "invalid"}


@pytest.mark.parametrize("body", [b"\xff", b"{", b"[" * 50_000], ids=["bytes", "end", "deep"])
def test_a_body_that_is_no_json_is_refused(client: Client, body: bytes) -> None:
    assert client.post("/graphql", body, content_type="application/json").status_code == 400


def test_a_fault_of_ours_is_logged_and_not_told(
    graphql: Asks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr(selectors, "tags", fail)
    errors = graphql("{ tags }", fails=True)
    assert errors[0]["message"] == "Something went wrong here."
    assert "secret" not in str(errors)
    assert "the secret" in caplog.text


def chain(length: int) -> str:
    """Fragments that each spread the next one twice."""
    fragments = [f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(length)]
    return "{ ...F0 }" + " ".join(fragments) + f"fragment F{length} on Query {{ tags }}"


DEEP = (
    "{ posts(first: 1) { items { "
    + "author { posts(first: 1) { items { " * 3
    + "id"
    + " } } }" * 3
    + " } } }"
)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (DEEP, f"deeper than {limits.DEPTH}"),
        (
            "{ posts(first: 50.0) {items {author {posts(first: 50) {items {id title}}}}}}",
            "values",
        ),
        ("{" + " ".join(f"a{i}: tags" for i in range(20)) + "}", f"{limits.ALIASES} aliases"),
        ("{" + "tags " * 300 + "}", f"{limits.SELECTIONS} fields"),
        ("{" + "tags " * 1_100 + "}", "tokens"),
        (chain(40), f"{limits.SELECTIONS} fields"),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", "spreads itself"),
        (
            "query ($n: Int = 50) { posts(first: $n) { items { ... on Post { comments(first: $n)"
            " { items { id author { username } } } } } } }",
            "values",
        ),
    ],
)
def test_a_document_that_asks_for_too_much_is_refused_before_the_database(
    graphql: Asks, document: str, words: str
) -> None:
    with CaptureQueriesContext(connection) as queries:
        errors = graphql(document, fails=True)
    assert words in errors[0]["message"]
    assert len(queries) == 0


def test_the_schema_can_be_asked_for_only_if_the_settings_say_so(
    graphql: Asks, settings: Any
) -> None:
    document = "{ __schema { queryType { name } } }"
    settings.GRAPHQL_INTROSPECTION = False
    assert "introspection" in graphql(document, fails=True)[0]["message"]
    settings.GRAPHQL_INTROSPECTION = True
    assert graphql(document)["__schema"] == {"queryType": {"name": "Query"}}


def test_the_stored_schema_is_that_of_the_code(client: Client) -> None:
    text = client.get("/schema.graphql").content.decode()
    assert text.strip() == str(graph.schema).strip(), "run `make schema`"


def test_a_query_by_get_and_a_batch_are_refused(client: Client) -> None:
    refused = client.get("/graphql?query={tags}")
    assert refused.status_code == 405
    assert refused.json() == {"errors": {"body": ["Method Not Allowed"]}}
    assert refused.headers["Allow"] == "POST"
    batch = [{"query": "{ tags }"}] * 2
    assert client.post("/graphql", batch, content_type="application/json").status_code == 400
    assert token_of(None) == {}
