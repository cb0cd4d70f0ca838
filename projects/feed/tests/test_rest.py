import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from feed import rest as rest_api
from feed import selectors, services
from feed.models import Attempt, Token, User
from tests.conftest import PASSWORD, Asks, make_post, make_user

pytestmark = pytest.mark.django_db
NEW = {"username": "Ann", "email": "Ann@Example.com", "password": PASSWORD}


def errors(answer: Any) -> list[str]:
    assert answer.keys() == {"errors"}
    assert answer["errors"].keys() == {"body"}
    return answer["errors"]["body"]


# -- Accounts


def test_registering_logging_in_and_changing_one_s_account(rest: Asks, client: Client) -> None:
    account = rest("POST", "/users", body={"user": NEW}, status=201)["user"]
    assert account["email"] == "ann@example.com"
    assert (account["bio"], account["image"]) == ("", "")
    log_in = {"user": {"email": "ANN@example.com", "password": PASSWORD}}
    token = rest("POST", "/users/login", body=log_in)["user"]["token"]
    assert token != account["token"]
    headers = {"Authorization": f"Token {token}"}

    def put(**changes: Any) -> Any:
        return client.put(
            "/api/user", {"user": changes}, content_type="application/json", headers=headers
        )

    changed = put(bio="Gardens", image=None, username="Annie").json()["user"]
    assert changed["token"] == token
    assert (changed["bio"], changed["username"]) == ("Gardens", "Annie")
    assert put(image="javascript:alert(1)").status_code == 422
    assert put(username=None).status_code == 422
    assert Token.objects.count() == 2
    put(password="another-pass-phrase")
    assert Token.objects.count() == 1, "a new password ends all other tokens"
    assert client.get("/api/user", headers=headers).json()["user"]["bio"] == "Gardens"
    rest("POST", "/users/login", body=log_in, status=401)


def test_names_and_addresses_are_taken_without_regard_to_case(rest: Asks) -> None:
    rest("POST", "/users", body={"user": NEW}, status=201)
    for change, word in (
        ({"email": "b@example.com", "username": "ANN"}, "username"),
        ({"username": "Bob"}, "email"),
    ):
        answer = rest("POST", "/users", body={"user": NEW | change}, status=422)
        assert errors(answer) == [f"{word}: has already been taken"]


def test_a_name_is_found_by_an_index() -> None:
    with connection.cursor() as sql:
        sql.execute("SET LOCAL enable_seqscan = off")  # a small table would be read as a whole
    assert "user_username_unique" in User.objects.filter(username__iexact="Ann").explain()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"username": ""}, "username: "),
        ({"username": "a b"}, "username: "),
        ({"email": "nobody"}, "email: "),
        ({"password": "password1"}, "password: This password is too common."),
        ({"password": "short"}, "password: This password is too short."),
        ({"email": None}, "email: "),
    ],
)
def test_a_bad_registration_is_refused_with_its_field(rest: Asks, change: Any, word: str) -> None:
    answer = rest("POST", "/users", body={"user": NEW | change}, status=422)
    assert errors(answer)[0].startswith(word)
    assert not User.objects.exists()


def test_what_a_client_may_not_set_is_not_set(rest: Asks) -> None:
    more = {"is_moderator": True, "isModerator": True, "followers_count": 9, "id": 7}
    rest("POST", "/users", body={"user": NEW | more}, status=201)
    user = User.objects.get()
    assert (user.is_moderator, user.followers_count) == (False, 0)
    article = {"title": "T", "description": "D", "body": "B", "likes_count": 9, "author_id": 1}
    slug = rest("POST", "/articles", user, {"article": article}, 201)["article"]["slug"]
    changes = {"article": {"body": "C", "hidden_at": None, "favoritesCount": 9, "author": 3}}
    changed = rest("PUT", f"/articles/{slug}", user, changes)["article"]
    assert (changed["body"], changed["favoritesCount"], changed["slug"]) == ("C", 0, slug)
    rest("PUT", "/user", user, {"user": {"is_moderator": True}})
    assert not User.objects.get().is_moderator


def test_passwords_are_not_guessed_for_long(rest: Asks, settings: Any) -> None:
    settings.LOG_INS_PER_ACCOUNT = 3
    user = make_user()
    bad = {"user": {"email": user.email, "password": "wrong"}}
    good = {"user": {"email": user.email, "password": PASSWORD}}
    for _ in range(3):
        rest("POST", "/users/login", body=bad, status=401)
    answer = rest("POST", "/users/login", body=good, status=429)
    assert errors(answer) == ["Too many attempts. Try again later."]
    Attempt.objects.update(until=timezone.now() - timedelta(seconds=1))
    rest("POST", "/users/login", body=good)
    settings.LOG_INS_PER_ADDRESS = 1
    rest("POST", "/users/login", body={"user": {"email": "x@y.zz", "password": "w"}}, status=429)


def test_a_proxy_of_ours_says_where_a_client_is(client: Client, settings: Any) -> None:
    settings.TRUSTED_PROXIES, settings.REGISTRATIONS_PER_ADDRESS = 1, 1

    def register(name: str, forwarded: str) -> int:
        user = NEW | {"username": name, "email": f"{name}@example.com"}
        return client.post(
            "/api/users",
            {"user": user},
            content_type="application/json",
            headers={"X-Forwarded-For": forwarded},
        ).status_code

    assert register("a", "198.51.100.1, 192.0.2.1") == 201
    assert register("b", "198.51.100.2, 192.0.2.1") == 429
    assert register("c", "198.51.100.1, 192.0.2.2") == 201


def test_a_token_ends_and_is_stored_as_its_digest(client: Client) -> None:
    user = make_user()
    token = services.new_token(user)
    assert token not in str(list(Token.objects.values()))
    for header, status in (
        (f"Token {token}", 200),
        (f"Bearer {token}", 401),
        ("Token x", 401),
        ("", 401),
    ):
        answer = client.get("/api/user", headers={"Authorization": header} if header else {})
        assert answer.status_code == status
    assert answer.headers["WWW-Authenticate"] == "Token"
    assert errors(answer.json()) == ["This needs a valid token."]
    assert client.get("/api/articles", headers={"Authorization": "Token x"}).status_code == 401
    Token.objects.update(expires_at=timezone.now())
    answer = client.get("/api/user", headers={"Authorization": f"Token {token}"})
    assert answer.status_code == 401
    services.new_token(user)
    assert Token.objects.count() == 1, "ended tokens are removed"


# -- Articles


def test_an_article_in_full_and_in_a_list(rest: Asks) -> None:
    author = make_user("author")
    slug = make_post(author, "How to", tags=["b", "a"]).slug
    article = rest("GET", f"/articles/{slug}")["article"]
    assert article == {
        "slug": slug,
        "title": "How to",
        "description": "About",
        "body": "Text",
        "tagList": ["a", "b"],
        "createdAt": article["createdAt"],
        "updatedAt": article["updatedAt"],
        "favorited": False,
        "favoritesCount": 0,
        "author": {"username": "author", "bio": "", "image": "", "following": False},
    }
    assert re.fullmatch(r"[0-9-]+T[0-9:]+\.[0-9]{3}Z", article["createdAt"])
    listed = rest("GET", "/articles")["articles"][0]
    assert listed == {name: value for name, value in article.items() if name != "body"}
    assert rest("GET", "/tags") == {"tags": ["a", "b"]}


def test_lists_are_filtered_and_paged(rest: Asks) -> None:
    ann, bob = make_user("ann"), make_user("bob")
    slugs = [make_post(ann, tags=["tea"]).slug for _ in range(3)]
    make_post(bob)
    rest("POST", f"/articles/{slugs[0]}/favorite", bob)

    def found(query: str) -> tuple[list[str], int]:
        answer = rest("GET", f"/articles?{query}")
        return [a["slug"] for a in answer["articles"]], answer["articlesCount"]

    assert found("author=ann") == (slugs[::-1], 3)
    assert found("tag=tea&limit=1&offset=1") == ([slugs[1]], 3)
    assert found("favorited=bob") == ([slugs[0]], 1)
    assert found("author=ann' OR '1'='1") == ([], 0)
    for query in ("limit=0", "limit=101", "offset=-1", "offset=10001", "limit=x"):
        assert errors(rest("GET", f"/articles?{query}", status=422))
    assert errors(rest("GET", "/articles?tag=%00", status=422))


@pytest.mark.parametrize("path", ["/articles", "/articles/feed"])
def test_a_list_sends_as_many_statements_for_twelve_articles_as_for_three(
    rest: Asks, path: str
) -> None:
    reader, counts = make_user(), []
    for more in (3, 9):
        for _ in range(more):
            author = make_user()
            services.follow(reader, author.username)
            make_post(author, tags=["tea"])
        with CaptureQueriesContext(connection) as queries:
            rest("GET", path, reader)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


def test_comments_send_as_many_statements_for_twelve_as_for_three(rest: Asks) -> None:
    post, counts = make_post(make_user()), []
    for more in (3, 9):
        for _ in range(more):
            body = {"comment": {"body": "Yes"}}
            rest("POST", f"/articles/{post.slug}/comments", make_user(), body)
        with CaptureQueriesContext(connection) as queries:
            rest("GET", f"/articles/{post.slug}/comments")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 3


def test_a_new_title_gives_a_new_slug(rest: Asks) -> None:
    author = make_user()
    slug = make_post(author, "One").slug
    same = rest("PUT", f"/articles/{slug}", author, {"article": {"title": "One"}})["article"]
    assert same["slug"] == slug
    new = rest("PUT", f"/articles/{slug}", author, {"article": {"title": "!"}})["article"]
    assert new["slug"].startswith("post-")
    rest("GET", f"/articles/{slug}", status=404)


def test_comments_from_writing_to_deleting(rest: Asks) -> None:
    author, reader, other = make_user(), make_user(), make_user()
    path = f"/articles/{make_post(author).slug}/comments"
    comment = rest("POST", path, reader, {"comment": {"body": "Yes"}})["comment"]
    assert comment["author"]["username"] == reader.username
    assert rest("GET", path)["comments"] == [comment]
    rest("DELETE", f"{path}/{comment['id']}", other, status=403)
    elsewhere = f"/articles/{make_post(author).slug}/comments/{comment['id']}"
    rest("DELETE", elsewhere, reader, status=404)
    rest("DELETE", f"{path}/{comment['id']}", reader, status=204)
    rest("DELETE", f"{path}/{comment['id']}", reader, status=404)


# -- Errors


def test_every_error_has_the_form_of_realworld(
    client: Client, rest: Asks, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    assert errors(rest("GET", "/nothing", status=404)) == ["Not Found"]
    answer = client.patch("/api/articles")
    assert answer.status_code == 405
    assert errors(answer.json()) == ["Method Not Allowed"]
    assert "GET" in answer.headers["Allow"]
    answer = client.post("/api/users", "{", content_type="application/json")
    assert answer.status_code == 400
    assert errors(answer.json())
    assert errors(rest("GET", "/profiles/nobody", status=404)) == ["There is no such user."]
    assert errors(rest("GET", "/articles/none", status=404)) == ["There is no such post."]
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    answer = client.post("/api/users", json.dumps({"user": NEW}), content_type="application/json")
    assert answer.status_code == 413
    assert errors(answer.json()) == ["The body is too long."]

    def fail(*_: Any) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr(selectors, "tags", fail)
    monkeypatch.setattr(rest_api.logger, "error", lambda *_, **__: None)
    assert errors(rest("GET", "/tags", status=500)) == ["Something went wrong here."]
