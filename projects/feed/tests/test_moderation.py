import pytest

from feed import inputs, services
from feed.errors import Refusal
from feed.models import Comment, Report
from tests.conftest import Asks, make_post, make_user

pytestmark = pytest.mark.django_db

REPORT = 'mutation ($id: ID!) { reportPost(id: $id, reason: "Spam") }'
REPORTS = "{ reports(first: 9) { items { reason post { id isHidden author { username } } } } }"
HIDE = "mutation ($id: ID!, $on: Boolean!) { hidePost(id: $id, hidden: $on) { isHidden } }"
BLOCK = """mutation ($name: String!, $on: Boolean!) {
  blockUser(username: $name, blocked: $on) { username } }"""
SUSPEND = """mutation ($name: String!, $on: Boolean!) {
  suspendUser(username: $name, suspended: $on) { username } }"""
FOLLOW = """mutation ($name: String!, $on: Boolean!) {
  followUser(username: $name, followed: $on) { isFollowed followersCount } }"""


def test_a_reported_post_is_hidden_from_all_but_its_author_and_moderators(
    graphql: Asks, rest: Asks
) -> None:
    author, reader, moderator = make_user(), make_user(), make_user(is_moderator=True)
    post = make_post(author)
    services.share(reader, shared=True, pk=post.pk)
    for _ in range(2):
        assert graphql(REPORT, reader, id=post.pk) == {"reportPost": True}
    (item,) = graphql(REPORTS, moderator)["reports"]["items"]
    assert item["post"] == {
        "id": str(post.pk),
        "isHidden": False,
        "author": {"username": author.username},
    }
    assert graphql(HIDE, moderator, id=post.pk, on=True) == {"hidePost": {"isHidden": True}}
    assert graphql(REPORTS, moderator)["reports"]["items"] == []
    assert Report.objects.get().closed_at is not None

    for who, status in ((None, 404), (reader, 404), (author, 200), (moderator, 200)):
        rest("GET", f"/articles/{post.slug}", who, status=status)
        count = rest("GET", "/articles", who)["articlesCount"]
        assert count == (1 if status == 200 else 0)
    rest("POST", f"/articles/{post.slug}/favorite", reader, status=404)
    shared = """query ($name: String!) {
        user(username: $name) { posts(first: 1) { items { original { id } } } } }"""
    items = graphql(shared, name=reader.username)["user"]["posts"]["items"]
    assert items == [{"original": None}]
    graphql(HIDE, moderator, id=post.pk, on=False)
    rest("GET", f"/articles/{post.slug}")


def test_who_is_blocked_sees_nothing_and_follows_no_more(graphql: Asks, rest: Asks) -> None:
    author, other, third = make_user(), make_user(), make_user()
    post = make_post(author)
    theirs = make_post(third)
    for one, two in ((author, other), (other, author)):
        assert graphql(FOLLOW, one, name=two.username, on=True)["followUser"] == {
            "isFollowed": True,
            "followersCount": 1,
        }
    services.add_comment(other, inputs.NewComment(body="Yes"), pk=theirs.pk)
    graphql(BLOCK, author, name=other.username, on=True)
    for one, two in ((author, other), (other, author)):
        assert one.follows.count() == 0
        with pytest.raises(Refusal):
            services.follow(one, two.username)
    rest("GET", f"/articles/{post.slug}", other, status=404)
    rest("GET", f"/articles/{post.slug}", third)
    assert rest("GET", f"/articles/{theirs.slug}/comments", author) == {"comments": []}
    assert len(rest("GET", f"/articles/{theirs.slug}/comments", third)["comments"]) == 1
    graphql(BLOCK, author, name=other.username, on=False)
    rest("GET", f"/articles/{post.slug}", other)


def test_a_block_does_not_keep_moderators_out(graphql: Asks) -> None:
    spammer, reader, moderator = make_user(), make_user(), make_user(is_moderator=True)
    post = make_post(spammer)
    graphql(REPORT, reader, id=post.pk)
    services.add_comment(spammer, inputs.NewComment(body="Buy this"), pk=make_post(reader).pk)
    graphql(BLOCK, spammer, name=moderator.username, on=True)
    (item,) = graphql(REPORTS, moderator)["reports"]["items"]
    assert item["post"]["id"] == str(post.pk)
    assert graphql(HIDE, moderator, id=post.pk, on=True) == {"hidePost": {"isHidden": True}}
    comment = Comment.objects.get()
    graphql("mutation ($id: ID!) { deleteComment(id: $id) }", moderator, id=comment.pk)
    assert not Comment.objects.exists()


def test_nobody_follows_or_blocks_themselves(graphql: Asks) -> None:
    user = make_user()
    for document in (FOLLOW, BLOCK):
        (error,) = graphql(document, user, fails=True, name=user.username, on=True)
        assert error["extensions"] == {"code": "oneself"}


def test_unfollowing_takes_one_off_the_count(graphql: Asks) -> None:
    reader, author = make_user(), make_user()
    services.follow(reader, author.username)
    services.follow(reader, author.username)
    data = graphql(FOLLOW, reader, name=author.username, on=False)["followUser"]
    assert data == {"isFollowed": False, "followersCount": 0}


def test_a_suspended_user_is_out_at_once(graphql: Asks, rest: Asks) -> None:
    user, moderator = make_user(), make_user(is_moderator=True)
    token = services.new_token(user)
    graphql(SUSPEND, moderator, name=user.username, on=True)
    assert services.user_of(token) is None
    log_in = {"user": {"email": user.email, "password": "a-good-pass-phrase"}}
    rest("POST", "/users/login", body=log_in, status=401)
    graphql(SUSPEND, moderator, name=user.username, on=False)
    rest("POST", "/users/login", body=log_in)
    (error,) = graphql(SUSPEND, moderator, fails=True, name=moderator.username, on=True)
    assert error["extensions"] == {"code": "forbidden"}
